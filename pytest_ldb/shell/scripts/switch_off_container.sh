# shellcheck shell=sh
# Inside a container the server is process 1, which the kernel shields from SIGKILL and from every
# signal that it does not handle. While the image initialises itself, process 1 is a script that
# ignores signals but exits when its child dies. The servers end at once on one of the first
# three, except MySQL, which takes a second to write data that is not needed; it heeds the last.
switch_off() {
  while :; do
    kill -QUIT 1
    kill -TERM 1
    kill -INT 1
    sleep 0.3 || sleep 1
    kill -KILL -1
    kill -ABRT 1
  done
}
