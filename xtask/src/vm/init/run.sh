# PID 1 after the switch of roots: runs the command and reports its exit code.
#
# Virtio ports lead to the host: control, stdout, stderr. The command writes to pipes, as it would in any pipeline,
# and `cat` carries the bytes on. The end marker behind each stream tells the host that all of it
# has arrived: ports are not ordered among each other.
export PATH=/run/hostler-guest/bin
cd /run/hostler-guest
. ./settings

fail() {
    echo "hostler-guest: $1" >/dev/console
    # The console is slow, and a panic does not wait for it.
    sleep 1
    exit 1
}

# The device of the port called $1; ports come up on their own time.
port() {
    tries=0
    while [ "$tries" -lt 1000 ]; do
        for directory in /sys/class/virtio-ports/*; do
            name=
            [ -e "$directory/name" ] && read -r name <"$directory/name"
            if [ "$name" = "$1" ]; then
                echo "/dev/${directory##*/}"
                return
            fi
        done
        tries=$((tries + 1))
        usleep 10000
    done
    fail "no virtio port $1 came up"
}

control=$(port control) || exit 1
exec 3>"$control"

# What the command left behind would keep its pipes open; it ends with the guest anyway.
kill_leftovers() {
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        # Kernel threads have no executable.
        [ -e "$process/exe" ] || continue
        case " 1 $stdout_relay $stderr_relay " in
        *" $pid "*) ;;
        *) kill -9 "$pid" 2>/dev/null ;;
        esac
    done
}

on_streams() {
    stdout_port=$(port stdout) || exit 1
    stderr_port=$(port stderr) || exit 1
    exec 4>"$stdout_port" 5>"$stderr_port"
    mkfifo stdout stderr
    cat <stdout >&4 &
    stdout_relay=$!
    cat <stderr >&5 &
    stderr_relay=$!
    echo started >&3
    # In a subshell, so that what this shell has to say of the command's end goes to the console.
    (exec setsid env -i /bin/sh ./command) </dev/null >stdout 2>stderr 3>&- 4>&- 5>&-
    echo "exit $?" >&3
    kill_leftovers
    wait "$stdout_relay" "$stderr_relay"
    printf %s "$end_marker" >&4
    printf %s "$end_marker" >&5
}

on_terminal() {
    # Held open: at its last close a terminal forgets its size.
    exec 4<>/dev/hvc0
    stty $terminal_size <&4
    echo started >&3
    setsid -c env -i /bin/sh ./command <&4 >&4 2>&1 3>&- 4>&-
    echo "exit $?" >&3
}

if [ "$interactive" = yes ]; then
    on_terminal
else
    on_streams
fi
# The host ends the guest when it has everything. Ending by itself could cut off output that a slow
# reader has not taken yet.
sleep 3600
poweroff -f
