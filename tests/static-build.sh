#!/bin/sh
# Builds the program without dynamic linking and with the plugin `hosting` alone, starts it, fetches a
# page, and checks that it says why it cannot add a library. Needs neither root nor network.
set -eu
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-gnu
dir=${STATIC_TARGET_DIR:-target/static}

RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --package fazt \
    --no-default-features --features hosting --target "$target" --target-dir "$dir"
fazt=$dir/$target/debug/fazt

fail() {
    echo "static build: $1" >&2
    exit 1
}

linked=$(ldd "$fazt" 2>&1 || true)
case $linked in
*"statically linked"* | *"not a dynamic executable"*) ;;
*) fail "it is linked dynamically: $linked" ;;
esac

home=$(mktemp -d)
pid=
end() {
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
    rm -rf "$home"
}
trap end EXIT
db=$home/data.db

"$fazt" server start --db "$db" --port 0 --format json >"$home/out" 2>"$home/err" &
pid=$!
tries=0
until grep -q '^}' "$home/out"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then fail "it does not listen: $(cat "$home/err")"; fi
    sleep 0.1
done
port=$(sed -n 's/^ *"port": \([0-9]*\),*$/\1/p' "$home/out")

mkdir "$home/site"
echo "<p>served by a static build" >"$home/site/index.html"
"$fazt" app deploy "$home/site" --name hello --db "$db" >"$home/deployed"
page=$(curl --silent --show-error --fail --max-time 10 -H "host: hello.localhost:$port" \
    "http://127.0.0.1:$port/")
[ "$page" = "<p>served by a static build" ] || fail "it served: $page"

# Any file will do: it is refused before anybody looks inside.
if "$fazt" plugin add "$fazt" --db "$db" >"$home/added" 2>&1; then
    fail "it added a library: $(cat "$home/added")"
fi
[ "$(grep -c . "$home/added")" -eq 1 ] || fail "more than a sentence: $(cat "$home/added")"
grep -q "^error: " "$home/added" || fail "not a sentence: $(cat "$home/added")"

kill -TERM "$pid"
wait "$pid" || fail "it did not end well: $(cat "$home/err")"
pid=
echo "static build: $(wc -c <"$fazt") bytes, static, serves; plugin add: $(cat "$home/added")"
