// Package trust decides whether other users of the machine can put their own files in the place of ours.
package trust
