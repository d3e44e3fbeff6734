// Package apitest holds answers of the HTTP API against its OpenAPI document.
// Only tests use it.
//
//	Spec      the document, read
//	Conforms  whether an answer is one that the document tells of
//
// It knows as much of JSON Schema as the document uses, and refuses the rest.
package apitest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Spec is an OpenAPI document.
type Spec struct{ doc map[string]any }

// Read reads a document and checks that it hangs together: references lead
// somewhere, operations have names of their own, the parameters of a path are
// declared, and every schema is in words that Conforms knows.
func Read(document []byte) (*Spec, error) {
	s := &Spec{}
	if err := json.Unmarshal(document, &s.doc); err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if v, _ := s.doc["openapi"].(string); !strings.HasPrefix(v, "3.1.") {
		return nil, fmt.Errorf("openapi is %q, want 3.1", v)
	}
	for _, need := range []string{"title", "version"} {
		if t, _ := object(s.doc["info"])[need].(string); t == "" {
			return nil, fmt.Errorf("info.%s is missing", need)
		}
	}
	if err := s.refs(s.doc, "#"); err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, op := range s.Operations() {
		if err := s.operation(op, ids); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
	}
	for name, schema := range object(object(s.doc["components"])["schemas"]) {
		if err := s.known(schema); err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
	}
	return s, nil
}

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// Operations lists the operations, "GET /path", sorted.
func (s *Spec) Operations() []string {
	var out []string
	for path, item := range object(s.doc["paths"]) {
		for method := range object(item) {
			if slices.Contains(methods, method) {
				out = append(out, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(out)
	return out
}

func (s *Spec) find(op string) map[string]any {
	method, path, _ := strings.Cut(op, " ")
	return object(object(object(s.doc["paths"])[path])[strings.ToLower(method)])
}

func (s *Spec) operation(op string, ids map[string]bool) error {
	o := s.find(op)
	id, _ := o["operationId"].(string)
	if id == "" || ids[id] {
		return fmt.Errorf("operationId %q is missing or there twice", id)
	}
	ids[id] = true
	declared := map[string]bool{}
	params, _ := o["parameters"].([]any)
	for _, p := range params {
		p := object(s.resolve(p))
		name, _ := p["name"].(string)
		if p["in"] == "path" {
			if p["required"] != true {
				return fmt.Errorf("path parameter %s is not required", name)
			}
			declared[name] = true
		}
		if p["schema"] == nil && p["content"] == nil {
			return fmt.Errorf("parameter %s has no schema", name)
		}
	}
	for _, part := range strings.Split(op, "/") {
		if name, is := strings.CutPrefix(part, "{"); is {
			name = strings.TrimSuffix(name, "}")
			if !declared[name] {
				return fmt.Errorf("path parameter %s is not declared", name)
			}
			delete(declared, name)
		}
	}
	if len(declared) > 0 {
		return fmt.Errorf("path parameters that the path lacks: %v", declared)
	}
	responses := object(o["responses"])
	if len(responses) == 0 {
		return fmt.Errorf("no responses")
	}
	for status, r := range responses {
		if d, _ := object(s.resolve(r))["description"].(string); d == "" {
			return fmt.Errorf("response %s has no description", status)
		}
	}
	return nil
}

// refs checks that each $ref leads somewhere.
func (s *Spec) refs(v any, at string) error {
	switch v := v.(type) {
	case map[string]any:
		if ref, is := v["$ref"].(string); is {
			if s.resolve(v) == nil {
				return fmt.Errorf("%s: %s leads nowhere", at, ref)
			}
		}
		for k, inner := range v {
			if err := s.refs(inner, at+"/"+k); err != nil {
				return err
			}
		}
	case []any:
		for i, inner := range v {
			if err := s.refs(inner, fmt.Sprint(at, "/", i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Spec) resolve(v any) any {
	for {
		ref, is := object(v)["$ref"].(string)
		if !is {
			return v
		}
		v = s.doc
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			v = object(v)[part]
		}
	}
}

// Conforms is nil if the document tells of an answer: its status, its type of
// content, its shape. route is "GET /path/{name}".
func (s *Spec) Conforms(route string, status int, contentType string, body []byte) error {
	o := s.find(route)
	if o == nil {
		return fmt.Errorf("%s is not in the document", route)
	}
	r := object(s.resolve(object(o["responses"])[fmt.Sprint(status)]))
	if r == nil {
		return fmt.Errorf("%s: status %d is not in the document", route, status)
	}
	content := object(r["content"])
	if content == nil {
		return nil
	}
	kind, _, _ := strings.Cut(contentType, ";")
	media := object(content[kind])
	if media == nil {
		return fmt.Errorf("%s: %d is answered as %q", route, status, contentType)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("%s: %d: %w in %s", route, status, err, body)
	}
	if err := s.check(media["schema"], v, "body"); err != nil {
		return fmt.Errorf("%s: %d: %w: %s", route, status, err, body)
	}
	return nil
}

// words are those of JSON Schema that check knows; the second kind says nothing
// of a value's shape.
var (
	words    = []string{"type", "required", "properties", "additionalProperties", "items", "enum", "const", "anyOf", "minLength", "$ref"}
	comments = []string{"description", "examples", "default", "contentMediaType"}
)

func (s *Spec) known(schema any) error {
	for word, v := range object(schema) {
		switch {
		case !slices.Contains(words, word) && !slices.Contains(comments, word):
			return fmt.Errorf("word %s is not known", word)
		case word == "properties":
			for _, p := range object(v) {
				if err := s.known(p); err != nil {
					return err
				}
			}
		case word == "items":
			return s.known(v)
		}
	}
	return nil
}

func (s *Spec) check(schema, v any, at string) error {
	m := object(s.resolve(schema))
	if want, is := m["const"]; is && !reflect.DeepEqual(want, v) {
		return fmt.Errorf("%s is %v, want %v", at, v, want)
	}
	if list, is := m["enum"].([]any); is && !slices.ContainsFunc(list, func(x any) bool { return reflect.DeepEqual(x, v) }) {
		return fmt.Errorf("%s is %v, want one of %v", at, v, list)
	}
	if any, is := m["anyOf"].([]any); is {
		var first error
		for _, one := range any {
			err := s.check(one, v, at)
			if err == nil {
				first = nil
				break
			}
			first = err
		}
		if first != nil {
			return first
		}
	}
	switch m["type"] {
	case "object":
		return s.checkObject(m, v, at)
	case "array":
		list, is := v.([]any)
		if !is {
			return fmt.Errorf("%s is no array", at)
		}
		for i, item := range list {
			if err := s.check(m["items"], item, fmt.Sprint(at, "[", i, "]")); err != nil {
				return err
			}
		}
	case "string":
		if text, is := v.(string); !is || m["minLength"] != nil && text == "" {
			return fmt.Errorf("%s is no string, or an empty one", at)
		}
	}
	return nil
}

func (s *Spec) checkObject(m map[string]any, v any, at string) error {
	o, is := v.(map[string]any)
	if !is {
		return fmt.Errorf("%s is no object", at)
	}
	required, _ := m["required"].([]any)
	for _, name := range required {
		if _, there := o[name.(string)]; !there {
			return fmt.Errorf("%s lacks %s", at, name)
		}
	}
	props := object(m["properties"])
	for name, inner := range o {
		schema, declared := props[name]
		if !declared {
			if m["additionalProperties"] == false {
				return fmt.Errorf("%s has %s, which is not declared", at, name)
			}
			schema = m["additionalProperties"]
		}
		if err := s.check(schema, inner, at+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
