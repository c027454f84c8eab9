package ipc

import (
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// propose answers with the manifest that a directory could have. It writes
// nothing, here or anywhere.
func (h handlers) propose(req *steadpb.CheckRequest) (*steadpb.CheckResponse, error) {
	var v violations
	v.manifest(req.GetDirectory(), "")
	if err := v.err(); err != nil {
		return nil, err
	}
	proposer, ok := h.backend.(Proposer)
	if !ok {
		return nil, runtime.Unsupported
	}
	p := proposer.Propose(req.GetDirectory())
	out := &steadpb.CheckResponse{File: valid(p.File), Proposal: &steadpb.Proposal{Text: valid(p.Text)}}
	for _, one := range p.Found {
		out.Proposal.Found = append(out.Proposal.Found, valid(one))
	}
	return out, nil
}
