package plugin

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// fill sets every field that v holds, at any depth, to a value that is not
// zero and differs from the others.
func fill(t *testing.T, v reflect.Value, n *int) {
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(int64(*n), 42)))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	default:
		t.Fatalf("a field of kind %s: teach fill and the conversions about it", v.Kind())
	}
}

// trip converts there, over the wire's bytes, and back.
func trip[G any, M proto.Message](to func(G) M, from func(M) G) func(*testing.T) {
	return func(t *testing.T) {
		var zero, full G
		n := 0
		fill(t, reflect.ValueOf(&full).Elem(), &n)
		for _, want := range []G{zero, full} {
			wire, err := proto.Marshal(to(want))
			if err != nil {
				t.Fatal(err)
			}
			message := reflect.New(reflect.TypeFor[M]().Elem()).Interface().(M)
			if err := proto.Unmarshal(wire, message); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, from(message)); diff != "" {
				t.Errorf("a field is lost (-sent +received):\n%s", diff)
			}
		}
	}
}

type stopCall struct {
	ID  runtime.ID
	How runtime.StopRequest
}

func TestRoundTrip(t *testing.T) {
	t.Run("Spec", trip(specToProto, specFromProto))
	t.Run("Event", trip(eventToProto, eventFromProto))
	t.Run("LogBlock", trip(blockToProto, blockFromProto))
	t.Run("LogQuery", trip(queryToProto, queryFromProto))
	t.Run("Description", trip(descriptionToProto, descriptionFromProto))
	t.Run("Handle", trip(handleToProto, handleFromProto))
	t.Run("TerminalRequest", trip(openToProto, openFromProto))
	t.Run("TerminalInput", trip(inputToProto, inputFromProto))
	t.Run("TerminalOutput", trip(outputToProto, outputFromProto))
	t.Run("Listen", trip(listenToProto, listenFromProto))
	t.Run("SocketStatus", trip(statusesToProto, statusesFromProto))
	t.Run("Inspect", trip(inspectToProto, inspectFromProto))
	t.Run("Inspection", trip(inspectionsToProto, inspectionsFromProto))
	t.Run("Connect", trip(connectToProto, connectFromProto))
	t.Run("Stats", trip(statsToProto, statsFromProto))
	t.Run("Preview", trip(previewToProto, previewFromProto))
	t.Run("Previews", trip(previewsToProto, previewsFromProto))
	t.Run("Stop", trip(
		func(s stopCall) *runtimepb.StopRequest { return stopToProto(s.ID, s.How) },
		func(p *runtimepb.StopRequest) stopCall { id, how := stopFromProto(p); return stopCall{id, how} }))
}

// What a user writes need not be UTF-8, and a proto string must.
func TestAnyBytesTravel(t *testing.T) {
	bad := "caf\xe9"
	want := runtime.Spec{
		Command: []string{bad}, Dir: "/" + bad, Environment: map[string]string{bad: bad}, Inherited: []string{bad},
		Ready: &runtime.Probe{Command: []string{bad}},
	}
	wire, err := proto.Marshal(specToProto(want))
	if err != nil {
		t.Fatal(err)
	}
	var got runtimepb.Spec
	if err := proto.Unmarshal(wire, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, specFromProto(&got)); diff != "" {
		t.Error(diff)
	}
	event := runtime.Event{Exit: &runtime.Exit{Error: bad}, Ready: &runtime.Readiness{Detail: bad},
		Generation: &runtime.GenerationStatus{Reason: bad}}
	if _, err := proto.Marshal(eventToProto(event)); err != nil {
		t.Error(err)
	}
}

// The daemon compares the hash it made with the one the runtime made.
func TestHashSurvivesTheWire(t *testing.T) {
	sent := runtime.Spec{Command: []string{}, Environment: map[string]string{}, Ports: []runtime.Port{}, Ready: &runtime.Probe{Command: []string{}}}
	if got := specFromProto(specToProto(sent)); got.Hash() != sent.Hash() {
		t.Error("an empty list changes the hash")
	}
}
