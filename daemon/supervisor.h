/* supervisor.h - telling systemd how far we are (Type=notify). */
#ifndef DAEMON_SUPERVISOR_H
#define DAEMON_SUPERVISOR_H

/* "READY=1", "STOPPING=1", "STATUS=...": one datagram to $NOTIFY_SOCKET. Nobody listening is no
 * failure. */
void supervisor_tell(const char *state);

#endif
