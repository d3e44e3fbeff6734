package timeline

import "embed"

// Page holds what browsers load: timeline.js draws a time line, for any page;
// index.html with runs.js is the page of the admin port.
//
//go:embed page
var Page embed.FS
