// Shows changes as they happen, and counts times on. The page works without it.
'use strict';
const main = document.getElementById('main'), live = document.getElementById('live');
let source, waiting, ahead = 0; // ahead: the clock of this machine, compared with the server's

const two = (n, a, b, units) => Math.floor(n / a) + units[0] +
	(Math.floor(n % a / b) ? '\u00a0' + Math.floor(n % a / b) + units[1] : '');
const short = n => n < 60 ? Math.floor(n) + 's' : n < 3600 ? two(n, 60, 1, 'ms') : n < 86400 ? two(n, 3600, 60, 'hm') :
	two(n, 86400, 3600, 'dh');

function count() {
	const now = Date.now() - ahead;
	for (const t of main.querySelectorAll('time[data-age]'))
		t.textContent = short(Math.max(0, now - Date.parse(t.dateTime)) / 1000);
	for (const t of main.querySelectorAll('time[data-left]'))
		t.textContent = short(Math.max(0, Math.ceil((Date.parse(t.dateTime) - now) / 1000)));
}

function show() { // not while the reader selects text
	if (waiting === undefined || !getSelection().isCollapsed && main.contains(getSelection().anchorNode)) return;
	const focus = main.contains(document.activeElement) && document.activeElement.getAttribute('href');
	main.innerHTML = waiting;
	waiting = undefined;
	const view = document.getElementById('view');
	document.title = view.dataset.title;
	ahead = Date.now() - view.dataset.now;
	if (focus) [...main.querySelectorAll('a')].find(a => a.getAttribute('href') === focus)?.focus({preventScroll: true});
	count();
}

function connect() { // a tab that nobody sees needs no changes
	source?.close();
	if (document.hidden) return;
	source = new EventSource('/live' + location.pathname + location.search);
	source.onopen = () => live.textContent = 'Changes appear by themselves.';
	source.onmessage = message => { waiting = message.data; show(); };
	source.onerror = () => {
		live.textContent = 'Not connected: what you see may be old.';
		if (source.readyState === EventSource.CLOSED) setTimeout(connect, 10000);
	};
}

document.addEventListener('visibilitychange', connect);
document.addEventListener('selectionchange', show);
setInterval(count, 1000);
connect();
