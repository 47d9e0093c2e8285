#!/bin/sh
# Counts what one `hikyaku listen` prints of many senders at once, on a busy machine.
#
# usage: bench/many_senders.sh HIKYAKU [ROUNDS [SENDERS [MESSAGES [LOOPS]]]]
#
# Each round starts SENDERS commands at once, each of which sends MESSAGES messages, beside LOOPS
# busy loops. Exits with 0 if every message was printed once and every sender exited with 0.
set -eu
hikyaku=$1
rounds=${2:-20} senders=${3:-100} messages=${4:-5} loops=${5:-8}

home=$(mktemp -d)
busy=
trap 'kill $busy $listener 2>/dev/null || true; rm -rf "$home"' EXIT INT TERM
listener=
export HOME="$home"
"$hikyaku" keygen >/dev/null 2>&1

n=0
while [ "$n" -lt "$loops" ]; do
    # At most 20 minutes.
    timeout 1200 sh -c 'while :; do :; done' &
    busy="$busy $!"
    n=$((n + 1))
done

"$hikyaku" listen --format lines 127.0.0.1:0 >"$home/printed" 2>"$home/err" &
listener=$!
until address=$(sed -n 's/^listening on //p' "$home/err") && [ -n "$address" ]; do sleep 0.1; done
trust=$(sed -n 's/^the key of this listener is //p' "$home/err")

failed=0
round=0
while [ "$round" -lt "$rounds" ]; do
    sender=0
    pids=
    while [ "$sender" -lt "$senders" ]; do
        words=
        message=0
        while [ "$message" -lt "$messages" ]; do
            words="$words $round-$sender-$message"
            message=$((message + 1))
        done
        # shellcheck disable=SC2086
        "$hikyaku" send -q --timeout 60s --trust "$trust" "$address" $words >/dev/null \
            2>>"$home/failures" &
        pids="$pids $!"
        sender=$((sender + 1))
    done
    for pid in $pids; do wait "$pid" || failed=$((failed + 1)); done
    round=$((round + 1))
done

expected=$((rounds * senders * messages))
printed=$(wc -l <"$home/printed")
different=$(sort -u "$home/printed" | wc -l)
echo "printed $printed, different $different, of $expected; senders that failed: $failed"
head -5 "$home/failures" 2>/dev/null || true
[ "$printed" -eq "$expected" ] && [ "$different" -eq "$expected" ] && [ "$failed" -eq 0 ]
