package sim

import (
	"embed"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/index.html"))

// routePage adds the page and the files it loads.
func (s *Server) routePage(mux *http.ServeMux) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic("sim: embedded page: " + err.Error())
	}
	assets := http.FileServerFS(files)
	mux.Handle("GET /assets/", http.StripPrefix("/assets", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		assets.ServeHTTP(w, r)
	})))
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /archives/", func(w http.ResponseWriter, r *http.Request) { // permalinks
		http.Redirect(w, r, "/#"+r.URL.Path, http.StatusFound)
	})
}

func (s *Server) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	data := struct {
		Team Team
		App  App
	}{s.world.team, s.world.app}
	if err := pageTemplate.Execute(w, data); err != nil {
		http.Error(w, "page is broken", http.StatusInternalServerError)
	}
}
