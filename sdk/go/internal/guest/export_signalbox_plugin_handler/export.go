// Package export_signalbox_plugin_handler is what the generated bindings call
// when the host calls the plugin.
//
// It is not for authors of plugins.
package export_signalbox_plugin_handler

import (
	"signalbox.internal/signalbox/internal/bindings/signalbox_plugin_handler"
	"signalbox.internal/signalbox/internal/bindings/signalbox_plugin_types"
	"signalbox.internal/signalbox/internal/host"
	"signalbox.internal/signalbox/internal/wit/runtime"
	"signalbox.internal/signalbox/internal/wit/types"
)

// Describe says what the plugin is.
func Describe() signalbox_plugin_handler.Manifest {
	own := host.Plugin.Describe()
	manifest := signalbox_plugin_handler.Manifest{
		Name:       own.Name,
		Version:    own.Version,
		Attributes: pairs(own.Attributes),
	}
	for _, s := range own.Subscriptions {
		filter := types.None[string]()
		if s.Filter != "" {
			filter = types.Some(s.Filter)
		}
		manifest.Subscriptions = append(manifest.Subscriptions, signalbox_plugin_handler.Subscription{
			Provider: s.Provider, Kind: s.Kind, Filter: filter,
		})
	}
	for _, r := range own.Requests {
		manifest.Requests = append(manifest.Requests, signalbox_plugin_handler.Request{
			Capability: r.Name, Scope: r.Value,
		})
	}
	return manifest
}

// Handle hands an event to the plugin.
func Handle(
	event signalbox_plugin_types.Event, delivery signalbox_plugin_types.Delivery,
) types.Result[types.Unit, signalbox_plugin_types.Failure] {
	runtime.Unpin()
	attributes := make([]host.Attribute, len(event.Attributes))
	for i, pair := range event.Attributes {
		attributes[i] = host.Attribute{Name: pair.F0, Value: pair.F1}
	}
	outcome := host.Plugin.Handle(host.Event{
		ID: event.Id, Provider: event.Provider, Kind: event.Kind,
		OccurredAt: event.OccurredAt, ReceivedAt: event.ReceivedAt,
		ContentType: event.ContentType, Body: event.Body, Attributes: attributes,
	}, host.Delivery{ID: delivery.Id, Attempt: delivery.Attempt, Replay: delivery.Replay})
	switch outcome.End {
	case host.OK:
		return types.Ok[types.Unit, signalbox_plugin_types.Failure](types.Unit{})
	case host.Retry, host.Panicked:
		retry := signalbox_plugin_types.Retry{Reason: outcome.Reason}
		if outcome.After > 0 {
			retry.After = types.Some(host.Milliseconds(outcome.After))
		}
		return types.Err[types.Unit](signalbox_plugin_types.MakeFailureRetry(retry))
	}
	return types.Err[types.Unit](signalbox_plugin_types.MakeFailureReject(outcome.Reason))
}

func pairs(attributes []host.Attribute) []types.Tuple2[string, string] {
	pairs := make([]types.Tuple2[string, string], len(attributes))
	for i, a := range attributes {
		pairs[i] = types.Tuple2[string, string]{F0: a.Name, F1: a.Value}
	}
	return pairs
}
