#!/bin/sh
# Stands in for a reader's report, which must run under a lock.
echo "the report is written with token ${TENURE_TOKEN:?there is no lock}"
