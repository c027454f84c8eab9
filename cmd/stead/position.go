package main

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// position is how far the logs of each service have been read.
type position struct {
	next    map[string]int64 // by project/service: where what is new begins
	newest  *timestamppb.Timestamp
	resumed bool // what was read may come again
}

// pass notes a block, and reports whether anything in it is new; of one that
// was read in part only the rest is left.
func (p *position) pass(b *steadpb.LogBlock) bool {
	if p.next == nil {
		p.next = map[string]int64{}
	}
	key := b.Project + "/" + b.Service
	next, end := p.next[key], b.Offset+int64(len(b.Data))
	switch {
	case !p.resumed:
	case b.Gap > 0: // a loss may take no room, and is rather told twice than not
	case end <= next:
		return false
	case b.Offset < next:
		b.Data, b.Offset = b.Data[next-b.Offset:], next
	}
	p.next[key] = max(next, end)
	if b.Time.AsTime().After(p.newest.AsTime()) {
		p.newest = b.Time
	}
	return true
}

// after returns a request for what comes after the position. A block may end
// later than its time says, so the newest one is asked for again.
func (p *position) after(request *steadpb.LogsRequest) *steadpb.LogsRequest {
	if p.newest == nil {
		return request
	}
	p.resumed = true
	request = proto.CloneOf(request)
	request.Since, request.Last = p.newest, 0
	return request
}
