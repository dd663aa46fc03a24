package signalboxtest_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox.internal/signalbox"
	"signalbox.internal/signalbox/config"
	"signalbox.internal/signalbox/kv"
	"signalbox.internal/signalbox/objects"
	"signalbox.internal/signalbox/outbox"
	"signalbox.internal/signalbox/signalboxtest"
)

func init() {
	signalbox.Plugin("tested", "1.2.3", signalbox.Description("is tested"))
	signalbox.On("a.b", first)
	signalbox.On("a.*", second)
	signalbox.On("due", func(event *signalbox.Event) error {
		return kv.SetText("due", string(event.Body))
	}, signalbox.From("tested"))
	signalbox.On("answered", func(event *signalbox.Event) error {
		reply, ok := event.Reply()
		return kv.SetText("answered", fmt.Sprintf("%v %v %d %s %s",
			ok, reply.OK(), reply.Status, reply.Headers["x"], reply.Body))
	}, signalbox.From("tested"))
}

func first(*signalbox.Event) error { return kv.SetText("ran", "first") }
func second(*signalbox.Event) error {
	ran, _, _ := kv.Text("ran")
	return kv.SetText("ran", ran+" second")
}

func TestHandlersOfOneEventRunInOrder(t *testing.T) {
	host := signalboxtest.New(t)
	host.Deliver(signalboxtest.Stripe("a.b", nil)).OK()
	if got := host.Text("ran"); got != "first second" {
		t.Errorf("ran %q", got)
	}
	if host.Deliver(signalboxtest.Stripe("a", nil)).Subscribed() {
		t.Error("`a.*` does not hold `a`")
	}
}

func TestWhatAHandlerReturnsIsTheOutcome(t *testing.T) {
	host := signalboxtest.New(t)
	plain := errors.New("away")
	if reason, after := host.Run(func() error { return plain }).Retry(); reason != "away" || after != 0 {
		t.Errorf("%s after %s", reason, after)
	}
	run := host.Run(func() error { return fmt.Errorf("outside: %w", signalbox.Retry(plain, time.Minute)) })
	if reason, after := run.Retry(); reason != "outside: away" || after != time.Minute {
		t.Errorf("%s after %s", reason, after)
	}
	run = host.Run(func() error { return fmt.Errorf("read: %w", signalbox.Reject(plain)) })
	if reason := run.Reject(); reason != "read: away" {
		t.Error(reason)
	}
	// The outermost decision holds.
	host.Run(func() error { return signalbox.Retry(signalbox.Reject(plain), 0) }).Retry()
	host.Run(func() error { return signalbox.Reject(nil) }).OK()
}

func TestAPanicIsAFailureWithItsStackInTheLog(t *testing.T) {
	host := signalboxtest.New(t)
	run := host.Run(func() error {
		if err := kv.SetText("a", "1"); err != nil {
			return err
		}
		explode()
		return nil
	})
	if message := run.Panic(); message != "boom" {
		t.Error(message)
	}
	last := run.Logs[len(run.Logs)-1]
	if last.Level != "error" || last.Message != "boom" || !strings.HasPrefix(last.Attributes["stack"], "signalbox.internal/signalbox/signalboxtest_test.explode") {
		t.Errorf("%+v", last)
	}
	if host.Has("a") {
		t.Error("a failed run left something")
	}
}

func explode() { panic("boom") }

func TestNumbersAreExact(t *testing.T) {
	host := signalboxtest.New(t)
	event, err := signalboxtest.FromJSON([]byte(`{"id":"evt_1","type":"a.b","data":{"object":{"amount":9007199254740993}}}`))
	if err != nil {
		t.Fatal(err)
	}
	host.Run(func() error {
		seen := &signalbox.Event{Body: event.Body}
		var typed struct{ Amount int64 }
		if err := seen.Object(&typed); err != nil || typed.Amount+1 != 9007199254740994 {
			t.Errorf("%d %v", typed.Amount, err)
		}
		var free map[string]any
		if err := seen.Object(&free); err != nil || fmt.Sprint(free["amount"]) != "9007199254740993" {
			t.Errorf("%v %v", free, err)
		}
		var text struct{ Amount string }
		if err := seen.Object(&text); !signalbox.IsReject(err) {
			t.Errorf("a number is no text: %v", err)
		}
		return nil
	}).OK()
}

func TestKvKeepsToTheLimitsOfTheContract(t *testing.T) {
	host := signalboxtest.New(t)
	host.Run(func() error {
		for key, want := range map[string]error{"": kv.ErrKeySize, strings.Repeat("k", 513): kv.ErrKeySize} {
			if err := kv.SetText(key, ""); !errors.Is(err, want) {
				t.Errorf("%q: %v", key, err)
			}
		}
		if err := kv.Set("a", make([]byte, 256<<10+1)); !errors.Is(err, kv.ErrValueSize) {
			t.Error(err)
		}
		for n := range 40 {
			if err := kv.SetJSON(fmt.Sprintf("k/%02d", n), n); err != nil {
				return err
			}
		}
		var keys []string
		for key, err := range kv.Keys("k/") {
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
		if len(keys) != 40 || !slices.IsSorted(keys) {
			t.Error(keys)
		}
		if n, err := kv.Add("n", 1<<62); n != 1<<62 || err != nil {
			t.Error(n, err)
		}
		if _, err := kv.Add("n", 1<<62); err == nil {
			t.Error("a sum beyond 64 bits")
		}
		return nil
	}).OK()
	host.Limits.KVOperations = 1
	run := host.Run(func() error { first(nil); return second(nil) })
	if reason, _ := run.Retry(); reason != "kv `ran`: the delivery reads or writes more than the host allows" {
		t.Error(reason)
	}
}

func TestEffectsAreAskedForOnCommitAndComeBack(t *testing.T) {
	host := signalboxtest.New(t)
	host.Run(func() error {
		_, _ = outbox.Emit("due", 1)
		return errors.New("no")
	}).Retry()
	if len(host.Effects()) != 0 {
		t.Error("a failed run asks for nothing")
	}
	run := host.Run(func() error {
		if _, err := outbox.Post("https://example.com/").Header("Authorization", "Bearer {{secret:KEY}}").
			JSON(map[string]int{"a": 1}).ReplyAs("answered").Send(); err != nil {
			return err
		}
		_, err := outbox.EmitAfter("due", "x", time.Hour)
		return err
	}).OK()
	request, timer := run.Effects[0], run.Effects[1]
	if request.Headers["authorization"] != "Bearer {{secret:KEY}}" || string(request.Body) != `{"a":1}` || timer.Delay != time.Hour {
		t.Errorf("%+v %+v", request, timer)
	}
	host.Fire(timer.ID).OK()
	host.Reply(request.ID, 201, map[string]string{"x": "y"}, "ok").OK()
	if host.Text("due") != `"x"` || host.Text("answered") != "true true 201 y ok" {
		t.Error(host.Text("due"), host.Text("answered"))
	}
	host.Refuse("outbox.emit")
	host.Run(func() error {
		if _, err := outbox.Emit("due", 1); !errors.Is(err, outbox.ErrNotGranted) {
			t.Error(err)
		}
		if _, err := outbox.Post("ftp://example.com/").Send(); !errors.Is(err, outbox.ErrInvalid) {
			t.Error(err)
		}
		if ok, err := outbox.Cancel(timer.ID); ok || !errors.Is(err, outbox.ErrInvalid) {
			t.Error("an effect of this very delivery", ok, err)
		}
		return nil
	}).OK()
}

func TestSettingsObjectsAndLog(t *testing.T) {
	host := signalboxtest.New(t)
	host.Setting("greeting", "hi")
	host.Object("stripe", "customer", "cus_1", map[string]string{"name": "Jenny"})
	run := host.Run(func() error {
		if config.Or("greeting", "") != "hi" || config.Or("other", "none") != "none" || len(config.All()) != 1 {
			t.Error(config.All())
		}
		customer, err := objects.Get("customer", "cus_1")
		if err != nil {
			return err
		}
		var body struct{ Name string }
		if err := customer.Parse(&body); err != nil || body.Name != "Jenny" {
			t.Error(body, err)
		}
		if absent, err := objects.Get("customer", "cus_2"); absent != nil || err != nil {
			t.Error(absent, err)
		}
		slog.With("a", 1).WithGroup("g").Warn("careful", "b", 2, slog.Group("h", "c", 3))
		return nil
	}).OK()
	record := run.Logs[0]
	if record.Level != "warn" || record.Attributes["a"] != "1" || record.Attributes["g.b"] != "2" || record.Attributes["g.h.c"] != "3" {
		t.Errorf("%+v", record)
	}
	host.Refuse("objects")
	host.Run(func() error {
		_, err := objects.Get("customer", "cus_1")
		if !errors.Is(err, objects.ErrNotGranted) {
			t.Error(err)
		}
		return nil
	}).OK()
}
