package api

import (
	"context"
	_ "embed" // of the document
	"net/http"
	"slices"

	"github.com/starling-rules/starling/engine/ingress"
)

//go:embed openapi.json
var document []byte

// Document returns the API as an OpenAPI 3.1 document.
func Document() []byte { return slices.Clone(document) }

func (a *API) document(context.Context, *request) ingress.AdminResponse {
	return ingress.AdminResponse{Status: http.StatusOK, Body: document}
}
