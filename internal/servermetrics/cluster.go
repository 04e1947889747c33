package servermetrics

import "tenure/internal/serverstats"

// cluster emits the metrics of a server that shares its store with others.
func (e emitter) cluster(c *serverstats.Cluster, nodes []serverstats.Node) {
	e.gauge(servers, float64(c.Servers))
	e.gauge(registered, boolean(c.Registered))
	e.counter(registrations, c.Registrations)
	for i := range nodes {
		e.gauge(owned, 1, nodes[i].Path)
	}
	e.counters(ownerChanges, c.OwnerChanges)
	e.gauge(forwarded, float64(c.Forwarded))
	e.gauge(silence, c.Silence.Seconds())
	for o, h := range c.Operations {
		e.histogram(etcdSeconds, h, o.Op, o.Result)
	}
	e.histogram(proof, &c.Proofs)
	e.counters(compactions, c.Compactions)
}
