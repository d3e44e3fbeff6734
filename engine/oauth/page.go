package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// view is what a page says. All of it is escaped.
type view struct {
	Title string
	// Start is where the button leads, with Bot and User the scopes.
	Start     string
	Bot, User []string
	// Place is where the app was installed, Open the way to it there.
	Place   string
	OrgWide bool
	Open    string
	// Problem is for people, Detail the code that support asks for.
	Problem, Detail string
}

const pageStyle = `body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f5f4f8;color:#1e1c26}
main{max-width:30rem;margin:10vh auto 2rem;padding:1.5rem 2rem;background:#fff;border:1px solid #dedbe6;border-radius:12px}
h1{font-size:1.35rem;margin:0 0 .75rem}h2{font-size:1rem;margin:1rem 0 .25rem}ul{margin:0;padding-left:1.25rem}
code{font-size:.875rem}.button{display:inline-block;margin-top:1.25rem;padding:.55rem 1.1rem;border-radius:8px;background:#4a154b;color:#fff;font-weight:600;text-decoration:none}
.button:focus-visible{outline:3px solid #1264a3;outline-offset:2px}.detail{color:#686377;font-size:.875rem}
@media(prefers-color-scheme:dark){body{background:#17161d;color:#e9e7f0}main{background:#1f1e27;border-color:#35333f}.detail{color:#a19cb0}}`

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>{{.Title}}</title>
<style>` + pageStyle + `</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{- if .Problem}}
<p role="alert" data-testid="problem">{{.Problem}}</p>
<p class="detail">Reason: <code data-testid="reason">{{.Detail}}</code></p>
{{- else if .Place}}
<p data-testid="installed">The app is installed in <strong>{{.Place}}</strong>{{if .OrgWide}}, for the whole organization{{end}}. You can close this page.</p>
<a class="button" href="{{.Open}}">Open Slack</a>
{{- else}}
<p>Slack asks you next which workspace it is for, and whether you agree.</p>
{{- if .Bot}}
<h2>What the bot may do</h2>
<ul>{{range .Bot}}<li><code>{{.}}</code></li>{{end}}</ul>
{{- end}}
{{- if .User}}
<h2>What it may do in your name</h2>
<ul>{{range .User}}<li><code>{{.}}</code></li>{{end}}</ul>
{{- end}}
<a class="button" rel="noreferrer" data-testid="install" href="{{.Start}}">Add to Slack</a>
{{- end}}
</main>
</body>
</html>
`))

// pagePolicy allows nothing but the style above, by its hash.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// page draws a page. Nothing keeps it, frames it, or is told where it was: its
// address may hold a code.
func (f *Flow) page(status int, v view) Response {
	if v.Title == "" {
		v.Title = "Not installed"
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		f.log.Error("draw the page of the installation", "err", err)
		status = http.StatusInternalServerError
	}
	return Response{Status: status, Body: b.Bytes(), Header: map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": pagePolicy, "X-Frame-Options": "DENY",
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	}}
}
