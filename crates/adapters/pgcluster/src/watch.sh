# Runs a PostgreSQL server for as long as one of its owners lives, then stops it and removes its run directory.
# Started by launch.rs as the server's user; POSIX sh.
#
#   $1 the run directory; an owner is a file users/<pid>-<start time>    $2 seconds to wait for a next owner
#   $3 the signal that stops the server (INT: tidily, QUIT: at once)     $4 … the server's command
#
# TERM stops it at once. The server's own end is told in the file `exited`; owners decide what that means.
run=$1 grace=$2 stop_signal=$3
shift 3
# Nothing that an owner forgot to close may stay open in a server that others use too.
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
cd "$run" || exit 1
asked=
trap 'asked=1' TERM

"$@" </dev/null &
server=$!

# Is the process of this owner's file alive? A zombie is not, nor is a later process with the same pid.
alive() {
    pid=${1%-*} start=${1#*-} stat=
    if { read -r stat <"/proc/$pid/stat"; } 2>/dev/null; then
        set -- ${stat##*) }
        [ "$1" != Z ] && [ "$1" != X ] && { [ "$start" = 0 ] || [ "$start" = "${20}" ]; }
        return
    fi
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    kill -0 "$pid" 2>/dev/null && return
    # No /proc, or another user's process in a hidden /proc: alive if it is there but not ours to signal.
    case $(kill -0 "$pid" 2>&1) in *ermitted*) return 0 ;; esac
    return 1
}

anyone_in() {
    for owner in "$1"/*; do
        alive "${owner##*/}" && return 0
    done
    return 1
}

idle=0 rounds=0 nap=0.1
while [ -z "$asked" ]; do
    if anyone_in users; then
        idle=0
    elif [ "$idle" -ge "$grace" ]; then
        # From here on nobody can join: a newcomer's file finds no directory. One who came just before is seen now.
        mv users closed 2>/dev/null
        anyone_in closed || break
        mv closed users
    elif [ "$nap" = 1 ]; then
        idle=$((idle + 1))
    fi
    if [ -n "$server" ] && ! kill -0 "$server" 2>/dev/null; then
        wait "$server"
        echo "$?" >exited
        server=
    fi
    # A start that fails is seen soon; later a look each second will do.
    rounds=$((rounds + 1))
    [ "$rounds" -le 30 ] || nap=1
    sleep "$nap" &
    wait "$!"
done

# Again and again: a server that has only just begun ignores it (a background process begins without INT and QUIT).
while [ -n "$server" ] && kill -s "$stop_signal" "$server" 2>/dev/null; do
    sleep 0.1 2>/dev/null || sleep 1
done
cd /
case $run in */posx-pg-*) rm -rf -- "$run" ;; esac
