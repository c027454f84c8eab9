package supervisor

import (
	"reflect"
	"testing"
	"time"
)

// Same stands between what Step changes and what the daemon writes: a field
// that it does not know would be forgotten with the daemon.
func TestSameKnowsEveryField(t *testing.T) {
	for f, changed := range oneChange[Service](t) {
		if f == "Name" || f == "Plan" {
			continue
		}
		if changed.Same(Service{}) {
			t.Errorf("does not see a change of %s", f)
		}
	}
	for f, changed := range oneChange[Plan](t) {
		byRevision := f == "Spec" || f == "Build" || f == "OneShot" || f == "Replicas"
		if !byRevision && (Service{Plan: changed}).Same(Service{}) {
			t.Errorf("does not see a change of the plan's %s", f)
		}
		if f != "Spec" && changed.equal(Plan{}) {
			t.Errorf("plans are equal with another %s", f)
		}
	}
}

// What a generation or a service is remembered as must not depend on a later
// version of stead having added a field.
func TestRememberedKeepsTheNewFields(t *testing.T) {
	s := Service{Awake: true, Asleep: true, Owed: "a", Trigger: "b", Generations: []Generation{{Trigger: "c"}}}
	kept := s.Remembered()
	if !kept.Awake || !kept.Asleep || kept.Owed != "a" || kept.Trigger != "b" || kept.Generations[0].Trigger != "c" {
		t.Errorf("remembered: %+v", kept)
	}
}

func TestWhoSleepsWaitsForNothing(t *testing.T) {
	s := &story{state: New(0, nil, false), now: time.Unix(1000, 0)}
	for _, line := range []string{"attach ; sync", "apply web=v1[lazy,healthy:db] db=v1[lazy]", "up web"} {
		s.do(s.eventsOf(line)...)
	}
	if got := s.state.WaitsFor(named("web")); got != nil {
		t.Errorf("asleep, it waits for %v", got)
	}
}

// oneChange returns a T for each of its fields, in which only that one is not
// zero.
func oneChange[T any](t *testing.T) map[string]T {
	t.Helper()
	all := make(map[string]T)
	kind := reflect.TypeFor[T]()
	for i := range kind.NumField() {
		var changed T
		f := reflect.ValueOf(&changed).Elem().Field(i)
		if _, is := f.Interface().(time.Time); is {
			f.Set(reflect.ValueOf(time.Unix(1, 0)))
			all[kind.Field(i).Name] = changed
			continue
		}
		switch f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.String:
			f.SetString("x")
		case reflect.Int, reflect.Int64:
			f.SetInt(1)
		case reflect.Uint64:
			f.SetUint(1)
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Struct:
			f.Field(0).Set(reflect.ValueOf(oneOf(f.Field(0).Kind())).Convert(f.Field(0).Type()))
		default:
			t.Fatalf("%s is a %s", kind.Field(i).Name, f.Kind())
		}
		all[kind.Field(i).Name] = changed
	}
	return all
}

func oneOf(k reflect.Kind) any {
	if k == reflect.Bool {
		return true
	}
	return "x"
}
