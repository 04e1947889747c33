#!/bin/sh
# Stands in for a reader's migration, which must run under a lock.
echo "migrating with token ${TENURE_TOKEN:?there is no lock}"
