"""Certificates of a host: install them, renew them, tell who uses them, and check them.

1. `apply`, for the role: reads JSON with what the control machine knows (the authority, certificates it was given or
   has signed), does everything that is due, and prints JSON; for what only the authority can sign it prints requests.
2. `renew`, for the timer: asks the ACME server for what is due, runs hooks that are owed, writes figures, warns.
3. `check`: tells what is wrong with what is installed.

A certificate is a folder, /etc/aisha/tls/NAME, and that is a link to a generation of it: certificate, key and authority
are replaced together by renaming the link. The generation that users were last told of is recorded after they were
told, so that an interrupted run is made up for by the next one.
"""
