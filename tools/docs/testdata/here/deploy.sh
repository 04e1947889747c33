#!/bin/sh
# Stands in for a reader's deployment, which must run under a lock.
echo "deploying with token ${TENURE_TOKEN:?there is no lock}"
