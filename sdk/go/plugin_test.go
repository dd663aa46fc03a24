package signalbox

import (
	"strings"
	"testing"
)

func TestPatternsHoldWhatTheContractSays(t *testing.T) {
	for _, c := range []struct {
		pattern, kind string
		holds         bool
	}{
		{"*", "a", true}, {"customer.*", "customer.subscription.created", true},
		{"customer.*", "customer", false}, {"customer.*", "customers.a", false},
		{"a.b", "a.b", true}, {"a.b", "a.b.c", false},
	} {
		if holds(c.pattern, c.kind) != c.holds {
			t.Errorf("%s holds %s: not %v", c.pattern, c.kind, c.holds)
		}
	}
}

func TestMistakesOfRegistrationAreTold(t *testing.T) {
	before := own
	defer func() { own = before }()
	nothing := func(*Event) error { return nil }
	for want, register := range map[string]func(){
		"call signalbox.Plugin": func() { On("a", nothing) },
		"call signalbox.On":     func() { Plugin("a", "1.0.0") },
		"called twice":          func() { Plugin("a", "1.0.0"); Plugin("b", "1.0.0") },
		"is no event type":      func() { On("a*", nothing) },
		"different filters":     func() { On("a.b", nothing, Filter("true")); On("a.*", nothing) },
	} {
		own = &plugin{}
		register()
		if err := own.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	own = &plugin{}
	Plugin("a", "1.0.0")
	On("a", nothing, Filter("true"))
	On("a", nothing, Filter("true"))
	On("a", nothing, From("other"))
	if err := own.check(); err != nil {
		t.Error(err)
	}
}

func TestALongStackIsCutAtItsEnd(t *testing.T) {
	stack := "goroutine 1 [running]:\nruntime/debug.Stack()\n\tx.go:1\npanic({0x1, 0x2})\n\tpanic.go:1\n" +
		"main.mine()\n" + strings.Repeat("\tmain.go:1\n", 1000)
	cut := stackBelowPanic(stack)
	if !strings.HasPrefix(cut, "main.mine()") || len(cut) > maxStack+4 {
		t.Errorf("%d bytes: %.60s", len(cut), cut)
	}
}
