"""The camera's language.

Here: what a VN-V685, VN-V686 or VN-V686B says and how to answer it: answer heads (http), the video stream (stream), the
camera's word before each key frame (userdata), JPEG (jpeg), multicast packets (rtp, rtp_jpeg), alarms (alarm), its log,
sessions and clock (log, session, date), the search (search), and its parameters: requests and answers (params), all of
them as data (catalogue.toml, catalogue, values, mask), moves (ptz), settings as files have them (settings). Bytes in,
values out: any cut of the bytes is taken, every buffer has a cap, nothing waits, opens or reads a clock; the catalogue
alone is read, once. Standard library only.
Not here: sockets, deadlines and what trouble means for a camera (camera), pictures and their time (media).
Way in: `stream.request` and `stream.StreamParser`, `userdata.parse`, `alarm.AlarmFeed`, `search.REQUEST`,
`catalogue.find` for a parameter by name.
"""
