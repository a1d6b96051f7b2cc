"""Run folders apart from the streams that write them: looked at, uploaded from anywhere, and removed.

folder_log   what is in one
parcel       one on its way to a server
parcels      all that are, and how far they are
recorded     which ones this daemon has recorded
policy       which of these may go, and why
removal      how one goes
housekeeper  does it by itself, now and then
calls        the daemon's calls for all that
"""
