// Package browser tests the page of tenure serve in Chromium. It is a module of its own, because the packages that
// drive the browser are large. The tests are skipped if there is no Chromium.
package browser
