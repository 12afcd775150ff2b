# Runs a server for as long as its starter lives, or, once the starter has said `keep`, until TERM. Started by server.rs; POSIX sh.
#
#   standard input: the tie to the starter    …: the server's command
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
asked=
trap 'asked=1' TERM
{ read -r word <&3 && [ "$word" = keep ] || kill -s TERM "$$"; } 2>/dev/null &
tie=$!
exec 3<&-

status=0
while [ -z "$asked" ] && kill -0 "$server" 2>/dev/null; do
    wait "$server"
    status=$?
done
kill -s TERM "$server" 2>/dev/null
rounds=0
while kill -0 "$server" 2>/dev/null; do
    [ "$rounds" -lt 50 ] || kill -s KILL "$server"
    rounds=$((rounds + 1))
    sleep 0.1
done
kill -s TERM "$tie" 2>/dev/null
exit "$status"
