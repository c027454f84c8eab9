package ipc

// handlers are the rpcs of steadpb.DaemonHandler, one file each. They return
// errors of the contract; Server.translate makes those fit to travel.
type handlers struct{ *Server }
