// Package browser tests the page of tenure serve in Chromium. It is a module of its own, because what drives the browser
// is large. The tests are skipped if there is no Chromium.
package browser
