package lsp

import "encoding/json"

// Codes of errors: JSON-RPC's, and those that the protocol adds.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeUnknownMethod  = -32601
	codeInvalidParams  = -32602
	codeNotInitialized = -32002
)

type message struct {
	ID     json.RawMessage `json:"id"` // nil: a notification
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

type response struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"` // null when it is not known
	Result  *any            `json:"result,omitempty"`
	Error   *failure        `json:"error,omitempty"`
}

type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

type notification struct {
	JSONRPC string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

type initializeParams struct {
	RootPath         string            `json:"rootPath"`
	RootURI          string            `json:"rootUri"`
	WorkspaceFolders []workspaceFolder `json:"workspaceFolders"`
}

type workspaceFolder struct {
	URI string `json:"uri"`
}

type foldersChanged struct {
	Event struct {
		Added   []workspaceFolder `json:"added"`
		Removed []workspaceFolder `json:"removed"`
	} `json:"event"`
}

// initializeResult offers no request, and asks for no document: files are
// read from the disk, as builds do.
func initializeResult(version string) any {
	return map[string]any{
		"capabilities": map[string]any{
			"positionEncoding": "utf-16",
			"textDocumentSync": map[string]any{"openClose": false, "change": 0},
			"workspace": map[string]any{
				"workspaceFolders": map[string]any{"supported": true, "changeNotifications": true},
			},
		},
		"serverInfo": map[string]any{"name": "stead", "version": version},
	}
}

type publishParams struct {
	URI         string       `json:"uri"`
	Diagnostics []diagnostic `json:"diagnostics"`
}

type diagnostic struct {
	Range    span   `json:"range"`
	Severity int    `json:"severity"` // 1 error, 2 warning
	Code     string `json:"code,omitempty"`
	Source   string `json:"source"`
	Message  string `json:"message"`
	Data     data   `json:"data"`
}

// data is for plug-ins that know stead.
type data struct {
	Project    string `json:"project"`
	Service    string `json:"service"`
	Generation uint64 `json:"generation"`
	Cause      string `json:"cause"`
}

type span struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

// position is counted from 0, in UTF-16 code units.
type position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}
