// The conformance plugin in Go: one handler for each case that the suite
// delivers to every language. It is no example; see example-plugins for those.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"signalbox.internal/signalbox"
	"signalbox.internal/signalbox/config"
	"signalbox.internal/signalbox/kv"
	"signalbox.internal/signalbox/objects"
	"signalbox.internal/signalbox/outbox"
)

const name = "conformance-go"

func init() {
	signalbox.Plugin(name, "0.1.0",
		signalbox.Description("Does in Go what every language must be able to do"),
		signalbox.NeedsEmit("echo.*"),
		signalbox.NeedsObjects("stripe customer"),
	)
	signalbox.On("conformance.subscribed", subscribed)
	signalbox.On("conformance.other", subscribed)
	signalbox.On("conformance.family.*", subscribed)
	signalbox.On("conformance.filtered", filtered,
		signalbox.Filter("event.data.object.amount > 100"))
	signalbox.On("conformance.kv", state)
	signalbox.On("conformance.retry", retry)
	signalbox.On("conformance.reject", reject)
	signalbox.On("conformance.uncaught", uncaught)
	signalbox.On("conformance.large", large)
	signalbox.On("conformance.unicode", unicode)
	signalbox.On("conformance.bigint", bigint)
	signalbox.On("conformance.emit", emit)
	signalbox.On("echo.empty", empty, signalbox.From(name))
	signalbox.On("conformance.outbox", effects)
	signalbox.On("conformance.reply", ask)
	signalbox.On("echo.reply", answered, signalbox.From(name))
	signalbox.On("conformance.objects", mirror)
	signalbox.On("conformance.config", setting)
	signalbox.On("conformance.log", write)
	signalbox.On("conformance.noop", func(*signalbox.Event) error { return nil })
}

func main() {}

func subscribed(event *signalbox.Event) error {
	return kv.SetText("subscribed/"+event.Kind, event.ID)
}

func filtered(event *signalbox.Event) error {
	return kv.SetText("filtered/"+event.ID, "seen")
}

func state(*signalbox.Event) error {
	for _, pair := range [][2]string{{"kv/a", "1"}, {"kv/b", "2"}, {"kv/c", "3"}} {
		if err := kv.SetText(pair[0], pair[1]); err != nil {
			return err
		}
	}
	if err := kv.Delete("kv/b"); err != nil {
		return err
	}
	var keys []string
	for key, err := range kv.Keys("kv/") {
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if err := kv.SetText("kv-list", strings.Join(keys, ",")); err != nil {
		return err
	}
	if _, ok, err := kv.Get("kv/b"); err != nil || ok {
		return signalbox.Rejectf("kv/b is there: %v %v", ok, err)
	}
	_, err := kv.Add("kv-count", 1)
	return err
}

func retry(event *signalbox.Event) error {
	if event.Delivery.Attempt == 1 {
		return signalbox.Retryf(50*time.Millisecond, "not yet")
	}
	return kv.SetText("retry", fmt.Sprint(event.Delivery.Attempt))
}

func reject(*signalbox.Event) error {
	return signalbox.Rejectf("no such thing 雪")
}

func uncaught(*signalbox.Event) error {
	if err := kv.SetText("uncaught", "1"); err != nil {
		return err
	}
	panic("boom 雪")
}

func large(event *signalbox.Event) error {
	var object struct{ Padding string }
	if err := event.Object(&object); err != nil {
		return err
	}
	return kv.SetText("large", fmt.Sprintf("%d:%d", len(event.Body), len(object.Padding)))
}

func unicode(event *signalbox.Event) error {
	var object struct{ Text string }
	if err := event.Object(&object); err != nil {
		return err
	}
	return kv.SetText("unicode", object.Text)
}

func bigint(event *signalbox.Event) error {
	var object struct{ Amount int64 }
	if err := event.Object(&object); err != nil {
		return err
	}
	return kv.SetText("bigint", fmt.Sprint(object.Amount+1))
}

func emit(*signalbox.Event) error {
	_, err := outbox.EmitBytes("echo.empty", "text/plain", nil, 0)
	return err
}

func empty(event *signalbox.Event) error {
	return kv.SetText("empty", fmt.Sprint(len(event.Body)))
}

func sink() string { return config.Or("sink", "https://sink.example.com/") }

func effects(event *signalbox.Event) error {
	effect, err := outbox.Post(sink()).Body("text/plain", []byte(event.ID)).Send()
	if err != nil {
		return err
	}
	if err := kv.SetText("effect", effect); err != nil {
		return err
	}
	if _, err := outbox.Emit("forbidden.kind", nil); errors.Is(err, outbox.ErrNotGranted) {
		return kv.SetText("refused", "not-granted")
	}
	return signalbox.Rejectf("forbidden.kind was not refused")
}

func ask(*signalbox.Event) error {
	_, err := outbox.Post(sink()).Body("text/plain", []byte("ping")).ReplyAs("echo.reply").Send()
	return err
}

func answered(event *signalbox.Event) error {
	reply, ok := event.Reply()
	if !ok {
		return signalbox.Rejectf("it is no answer")
	}
	return kv.SetText("reply", fmt.Sprintf("%d:%s", reply.Status, reply.Body))
}

func mirror(event *signalbox.Event) error {
	var object struct{ Customer string }
	if err := event.Object(&object); err != nil {
		return err
	}
	customer, err := objects.Get("customer", object.Customer)
	if err != nil {
		return err
	}
	if customer == nil {
		return signalbox.Rejectf("%s is not in the mirror", object.Customer)
	}
	var body struct{ Name string }
	if err := customer.Parse(&body); err != nil {
		return err
	}
	if err := kv.SetText("object", customer.ID+":"+body.Name); err != nil {
		return err
	}
	if _, err := objects.Get("charge", "ch_1"); !errors.Is(err, objects.ErrNotGranted) {
		return signalbox.Rejectf("a charge was not refused: %v", err)
	}
	if err := kv.SetText("object-refused", "not-granted"); err != nil {
		return err
	}
	if absent, err := objects.Get("customer", "cus_absent"); err != nil || absent != nil {
		return signalbox.Rejectf("cus_absent is there: %v", err)
	}
	return kv.SetText("object-absent", "none")
}

func setting(*signalbox.Event) error {
	return kv.SetText("config", config.Or("greeting", ""))
}

func write(*signalbox.Event) error {
	slog.Info("hello 雪", "kind", "log")
	return nil
}
