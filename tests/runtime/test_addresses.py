"""Addresses in messages: no password, no token, no key; still known by host and camera."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad_jax.runtime.addresses import shown, without_secrets

SHOWN = {
    "rtsp://camera/1": "rtsp://camera/1",
    "rtsp://user:p@ss/word@127.0.0.1:9/live?password=word": "rtsp://user:***@127.0.0.1:9/live?***",
    "rtsp://u:p%40x@h/1": "rtsp://u:***@h/1",
    "RTSP://U:PW@H:554/1": "RTSP://U:***@H:554/1",
    "rtsp://token@h/1": "rtsp://***@h/1",
    "rtsp://u:p?w#x@h/1": "rtsp://u:***@h/1",
    "rtsp://[fe80::1]:554/1": "rtsp://[fe80::1]:554/1",
    "rtsp://u:pw@[fe80::1%25eth0]:554/1": "rtsp://u:***@[fe80::1%25eth0]:554/1",
    "rtsp://h/Streaming/Channels/101": "rtsp://h/Streaming/Channels/101",
    "rtsp://h/h264Preview_01_main": "rtsp://h/h264Preview_01_main",
    "rtsp://h:554/user=admin&password=pw&channel=1.sdp?real_stream": "rtsp://h:554/***",
    "rtsp://h:554/x?user=a&password=p@ss": "rtsp://***",
    "rtsp://h:7447/Zs0iBMtQ8H1cZt3r": "rtsp://h:7447/***",
    "rtmp://a.rtmp.youtube.com/live2/abcd-efgh": "rtmp://a.rtmp.youtube.com/live2/***",
    "RTMPS://h:443/rtmp/key": "RTMPS://h:443/rtmp/***",
    "srt://h:9000?passphrase=pw": "srt://h:9000?***",
    "http://h/x.m3u8?token=pw": "http://h/x.m3u8?***",
    "http://h/x.m3u8;jsessionid=pw": "http://h/x.m3u8;***",
    "http://h/x.m3u8#pw": "http://h/x.m3u8#***",
    "http://h/api/550e8400-e29b-41d4-a716-446655440000/a.ts": "http://h/api/***/a.ts",
    "cache:rtsp://user:pass/w@rd@host/1": "cache:rtsp://user:***@host/1",
    "rtmp+tls://user:pass/w@rd@host/1": "rtmp+tls://user:***@host/1",
    "rtsp:/u:pw@h/1": "rtsp:/u:***@h/1",
    "u:pw@192.168.1.5:554/live": "u:***@192.168.1.5:554/live",
    # Paths stay as they are.
    "a b?.mp4": "a b?.mp4",
    "/home/u/a:b@c.mp4": "/home/u/a:b@c.mp4",
    "C:\\x\\a@b.mp4": "C:\\x\\a@b.mp4",
    "-": "-",
    "0": "0",
}


@pytest.mark.parametrize("source", SHOWN)
def test_shown(source: str) -> None:
    assert shown(source) == SHOWN[source]
    assert shown(shown(source)) == SHOWN[source]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20))
def test_no_password_is_shown(noise: str) -> None:
    assert "SeCrEt" not in shown(f"rtsp://user:{noise}SeCrEt@10.0.0.7:554/live")
    assert "SeCrEt" not in shown(f"http://10.0.0.7/live.m3u8?{noise}&token=SeCrEt")


def test_messages_of_others() -> None:
    text = without_secrets("unexpected argument 'rtsp://u:pw@h/1': flags start with --")
    assert text == "unexpected argument 'rtsp://u:***@h/1': flags start with --"
    text = "rtsp://u:***@h/live?***: no video comes (x); see https://a.b/c-d_e"
    assert without_secrets(text) == text
