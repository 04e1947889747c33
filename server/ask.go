package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tenure/internal/catalog"
	"tenure/internal/serverconfig"
	"tenure/internal/store"
)

// peerService is what servers that share a store ask each other. Clients cannot call it.
const peerService = "tenure.Peer"

const askMethod = "/" + peerService + "/Ask"

// askPatience is how long an answer may take.
const askPatience = 10 * time.Second

// question is what a server asks the one that serves a node. It is encoded as JSON, with the name of the question.
type question struct {
	Ask  string `json:"ask"` // one of the constants below
	Path string `json:"path"`

	InMemory bool `json:"in_memory,omitempty"`

	Session uint64 `json:"session,omitempty"`
	Token   uint64 `json:"token,omitempty"`
	User    string `json:"user,omitempty"`
	Network string `json:"network,omitempty"`
	Address string `json:"address,omitempty"`
}

const (
	askNodes  = "nodes"  // what Status shows of all nodes that the server serves; InMemory as in StatusInMemory
	askEnd    = "end"    // end a session, for somebody
	askWhoAmI = "server" // which server is this, if it takes nodes
	askTake   = "take"   // serve the node, if nobody does
	askReach  = "reach"  // does this server reach the common store
)

// answer is the answer to a question.
type answer struct {
	NotHere bool         `json:"not_here,omitempty"` // another server serves the node
	Nodes   []NodeStatus `json:"nodes,omitempty"`
	Server  string       `json:"server,omitempty"` // its id
	Reaches bool         `json:"reaches,omitempty"`
	Rights  string       `json:"rights,omitempty"` // see MemberStatus
	Error   answerError  `json:"error,omitempty"`
	Text    string       `json:"text,omitempty"` // of the error
}

// answerError is an error that the server which has asked must know.
type answerError string

const (
	answerNoNode    answerError = "no_node"
	answerNoSession answerError = "no_session"
	answerOther     answerError = "other"
)

// ask asks the server that serves the node, if it is another one. Otherwise it returns true.
func (s *Server) ask(ctx context.Context, e catalog.Entry, q question) (a answer, here bool, err error) {
	if s.front == nil {
		return answer{}, true, nil
	}
	var failed error
	here, err = s.front.search(ctx, e, func(_, address string) outcome {
		ctx, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		a, failed = s.front.ask(ctx, address, q)
		switch {
		case status.Code(failed) == codes.Unavailable:
			return unreachable
		case a.NotHere:
			return elsewhere
		}

		return answered
	})
	if err == nil && !here {
		err = failed
	}

	return a, here, err
}

// ask asks the server at the address.
func (f *front) ask(ctx context.Context, address string, q question) (a answer, err error) {
	text, err := json.Marshal(q)
	if err != nil {
		return answer{}, err
	}
	var reply wrapperspb.BytesValue
	if err := f.pool.Invoke(ctx, address, askMethod, wrapperspb.Bytes(text), &reply); err != nil {
		return answer{}, err
	}

	return a, json.Unmarshal(reply.GetValue(), &a)
}

// registerPeerService lets other servers ask this one.
func (s *Server) registerPeerService(g *grpc.Server) {
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: peerService,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Ask",
			Handler: func(
				srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor,
			) (any, error) {
				var in wrapperspb.BytesValue
				if err := decode(&in); err != nil {
					return nil, err
				}

				return intercept(ctx, &in, &grpc.UnaryServerInfo{Server: srv, FullMethod: askMethod}, s.asked)
			},
		}},
	}, s)
}

// asked answers the question of another server.
func (s *Server) asked(ctx context.Context, in any) (any, error) {
	if !fromServer(ctx) {
		return nil, status.Errorf(codes.Unimplemented, "unknown service %s", peerService)
	}
	var q question
	if err := json.Unmarshal(in.(*wrapperspb.BytesValue).GetValue(), &q); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	text, err := json.Marshal(s.answerTo(ctx, q))
	if err != nil {
		return nil, err
	}

	return wrapperspb.Bytes(text), nil
}

func (s *Server) answerTo(ctx context.Context, q question) answer {
	switch {
	case s.nodes.ctx.Err() != nil:
		return answer{NotHere: true}
	case q.Ask == askWhoAmI:
		return answer{Server: s.front.members.Self().ID}
	case q.Ask == askReach:
		ctx, cancel := context.WithTimeout(ctx, reachLimit)
		defer cancel()

		return answer{Reaches: s.front.members.Reach(ctx) == nil}
	case q.Ask == askNodes:
		nodes, err := s.served(ctx, q.InMemory)

		return failedAnswer(answer{Nodes: nodes, Rights: s.rightsDigest()}, err)
	}
	e, _, ok := s.nodes.verified(ctx, q.Path)
	if !ok {
		return answer{Error: answerNoNode}
	}
	if id, err := s.front.owner(ctx, e, store.Terms{}, false); id != "" || err != nil {
		s.front.forget(e.Space, id)

		return answer{NotHere: true}
	}
	switch q.Ask {
	case askTake:
		return failedAnswer(answer{}, s.taken(ctx, q.Path))
	case askEnd:
		by := serverconfig.Requester{User: q.User}
		if q.Network != "" {
			by.Address = passedAddr{q.Network, q.Address}
		}

		return failedAnswer(answer{}, s.endSessionHere(ctx, by, q.Path, q.Session, q.Token))
	default:
		return answer{Error: answerOther, Text: fmt.Sprintf("this version does not know the question %q", q.Ask)}
	}
}

func failedAnswer(a answer, err error) answer {
	switch {
	case err == nil:
		return a
	case errors.Is(err, ErrNoNode):
		return answer{Error: answerNoNode}
	case errors.Is(err, ErrNoSession):
		return answer{Error: answerNoSession}
	default:
		return answer{Error: answerOther, Text: err.Error()}
	}
}

// err returns the error that the other server has answered with.
func (a answer) err() error {
	switch a.Error {
	case "":
		return nil
	case answerNoNode:
		return ErrNoNode
	case answerNoSession:
		return ErrNoSession
	default:
		return errors.New(a.Text)
	}
}
