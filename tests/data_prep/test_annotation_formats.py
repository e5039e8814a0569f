"""Formats of annotations that people bring: each input with its right value."""
# ruff: noqa: E501 (an input is a line)

import json
import pathlib

import numpy as np
import pytest

from data_prep.annotations import Annotations, read_annotations
from refinevad_jax.errors import UserError


def read(folder: pathlib.Path, content: str, name: str = "cam1.txt") -> Annotations:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return read_annotations(path)


def frames(truth: Annotations) -> dict[str, list[tuple]]:
    """The spans at ten frames per second, or of videos of 100 frames."""
    counts = dict.fromkeys(truth.stretches, 100)
    return {
        video: [(s.start, s.end, *([s.category] if s.category else [])) for s in spans]
        for video, spans in truth.in_frames(counts, 10).spans.items()
    }


AB = {"a": [(15, 30, "fight")], "b": []}
# Tables with a header. 10 frames per second.
TABLES = {
    "a flag beside classes": (
        "video,start,end,is_anomaly,class\na,1.5,3,1,fight\nb,0.5,9,0,walk\n",
        AB,
    ),
    "a flag beside sentences": (
        "video,start,end,label,description\na,1.5,3,1,two men\nb,0,9,0,a dog\n",
        {"a": [(15, 30)], "b": []},
    ),
    "labels of 0 and 1 beside actions": (
        "video,start,end,label,action\na,1.5,3,1,fight\nb,0,9,0,walk\nc,0,9,0,sit\n",
        {**AB, "c": []},
    ),
    "numbers of classes beside names": (
        "video,start,end,label,class\na,1.5,3,2,fight\nb,2,3,3,normal\n",
        AB,
    ),
    "class numbers beside names": (
        "video,start,end,label,class\na,1.5,3,1,fight\nb,0.5,9,0,normal\n",
        AB,
    ),
    "the video's duration, as seconds": (  # 100 frames in 20 s
        "video,video_duration,start,end\na,20,1.6,3\na,0:20,4,5\n",
        {"a": [(8, 15), (20, 25)]},
    ),
    "a length that may be in frames": (
        "video,video_length,start,end\na,999,1.5,3\n",
        {"a": [(15, 30)]},
    ),
    "a rate as ffprobe writes it": (
        "video,start,end,avg_frame_rate\na,1.5,3,20/1\nb,1.5,3,20 fps\n",
        {"a": [(30, 60)], "b": [(30, 60)]},
    ),
    "a column with the unit": (
        "video,start,end,unit\na,1500,3000,ms\nb,,,\n",
        {"a": [(15, 30)], "b": []},
    ),
    "ranges with commas": (
        'video,time range\na,"0:01 - 0:03, 0:05 - 0:07"\n',
        {"a": [(10, 30), (50, 70)]},
    ),
    "ELAN without header, milliseconds": (
        "tier\t\t1500\t3000\t1500\tfight\n",
        {"cam1": AB["a"]},
    ),
    "Audacity with frequencies": ("1.5\t3.0\tfight\n\\\t100\t2000\n", {"cam1": AB["a"]}),
    "VIA 3 CSV with a mark at a moment": (
        "# CSV_HEADER = metadata_id,file_list,temporal_coordinates,metadata\n"
        '"1","[""a.mp4""]","[1.5,3.0]","{""1"":""fight""}"\n"2","[""a.mp4""]","[4.0]","{}"\n',
        {"a": AB["a"]},
    ),
    "BORIS, tabular, with frames": (
        "Observation id,Time offset (s),Behavior,Behavior type,Time,Media file name,FPS (frame/s)\n"
        "o,0,fight,START,1.5,a.mp4,10\no,0,fight,STOP,3,a.mp4,10\n",
        {"a": AB["a"]},
    ),
    "BIDS": ("onset\tduration\ttrial_type\n1.5\t1.5\tfight\n", {"cam1": AB["a"]}),
    "ranges of frames": (
        "video,abnormal_frames\na,15-30;40-50\nb,\n",
        {"a": [(15, 30), (40, 50)], "b": []},
    ),
    "images": (
        "image,label\na/frame_0001.jpg,normal\na/frame_0002.jpg,fight\n",
        {"a": [(1, 2, "fight")]},
    ),
    "VIA 2 CSV": (
        "filename,file_size,region_count,region_id,region_attributes\n"
        'a_00.jpg,1,0,0,"{}"\na_01.jpg,1,2,0,"{""x"":""fight""}"\na_01.jpg,1,2,1,"{""x"":""fight""}"\n',
        {"a": [(1, 2, "fight")]},
    ),
    "VIA 2 CSV, a row cut short": (
        'filename,region_count,region_attributes\na_00.jpg,0,"{}"\na_01.jpg\n',
        {"a": []},
    ),
    "two pairs": (
        "video,label,start1,end1,start2,end2\na,fight,1.5,3,4,5\nb,normal,,,,\n",
        {"a": [(15, 30, "fight"), (40, 50, "fight")], "b": []},
    ),
    "frames that are listed": ("video,frame\na,15\na,16\na,29\n", {"a": [(15, 17), (29, 30)]}),
    "an unknown anomaly": ("video,start,end,label\na,1.5,3,fight\nb,,,theft\n", {"a": AB["a"]}),
    "index column, byte order mark": (
        "\ufeff,video,start,end\n0,a,1.5,3.0\n1,b,nan,nan\n",
        {"a": [(15, 30)], "b": []},
    ),
    "lines above": ("# of 3 May\n\nvideo,start,end\na,1.5,3.0\n", {"a": [(15, 30)]}),
    "plain": ("video,start,end,label\na.mp4,1.5,3.0,fight\nb.mp4,,,normal\n", AB),
    "any order, more columns": (
        "label,id,end_time,start_time,file\nfight,7,3,1.5,x/a.mp4\nnormal,8,,,x/b.mp4\n",
        AB,
    ),
    "whole seconds by name": ("video,start_time,end_time\na,1,3\n", {"a": [(10, 30)]}),
    "frames by value": ("video,start,end,label\na,15,30,fight\nb,-1,-1,Normal\n", AB),
    "frames by name": ("name,startFrame,endFrame\na,15,30.0\n", {"a": [(15, 30)]}),
    "last frame": ("video_id,first_frame,last_frame,class\na,15,29,fight\n", {"a": AB["a"]}),
    "frames before seconds": (
        "vid,start_sec,end_sec,start_frame,end_frame\na,1,2,15,30\n",
        {"a": [(15, 30)]},
    ),
    "seconds if frames are missing": (
        "vid,start_sec,end_sec,start_frame,end_frame\na,1.5,3,15,30\nb,1,2,,\n",
        {"a": [(15, 30)], "b": [(10, 20)]},
    ),
    "milliseconds": ("clip_id,begin_ms,end_ms,event\na,1500,3000,fight\n", {"a": AB["a"]}),
    "clock": ("file,begin,end,tier\na.avi,00:00:01.500,0:03,fight\n", {"a": AB["a"]}),
    "comma of SRT": ('file,begin,end\na,"0:00:01,500","0:00:03,000"\n', {"a": [(15, 30)]}),
    "with units": ("video,from,to\na,1.5s,3 sec\n", {"a": [(15, 30)]}),
    "ISO 8601": ("video,start,end\na,PT1.5S,PT0M3S\n", {"a": [(15, 30)]}),
    "minutes": ("video,start_min,end_min\na,0.025,0.05\n", {"a": [(15, 30)]}),
    "percent": ("video,start (%),end (%)\na,15,30\n", {"a": [(15, 30)]}),
    "duration": ("filename,onset,duration\na,1.5,1.5\n", {"a": [(15, 30)]}),
    "duration in ms": ("filename,onset (s),duration (ms)\na,1.5,1500\n", {"a": [(15, 30)]}),
    "Excel": ("video;start;end;class\na.mp4;1,5;3,0;fight\nb.mp4;;;normal\n", AB),
    "tabs, names with blanks": (
        "Video\tStart (s)\tEnd (s)\nmy a.mp4\t1.5\t3\n",
        {"my a": [(15, 30)]},
    ),
    "white space": ("video start end label\na 1.5 3.0 fight\n", {"a": AB["a"]}),
    "several events": (
        "video,start,end,label\na,1.0,2.0,fight\nb,0.5,1.0,theft\na,5.0,6.0,theft\n",
        {"a": [(10, 20, "fight"), (50, 60, "theft")], "b": [(5, 10, "theft")]},
    ),
    "normal parts": (
        "video,start,end,label\na,0.0,1.5,normal\na,1.5,3.0,fight\nb,0.0,9.5,normal\n",
        AB,
    ),
    "0 and 1": ("video,start,end,anomaly\na,1.5,3.0,1\nb,0.0,9.5,0\n", {"a": [(15, 30)], "b": []}),
    "words for none": (
        "video,start,end\na,1.5,3\nb,n/a,n/a\nc,none,none\n",
        {**{"a": [(15, 30)]}, "b": [], "c": []},
    ),
    "pairs in a cell": (
        'video,segments\na,"[[1.5, 3.0], [4, 5]]"\nb,[]\n',
        {"a": [(15, 30), (40, 50)], "b": []},
    ),
    "ranges in a cell": (
        "video,label,intervals\na,fight,1.5-3.0; 4-5\n",
        {"a": [(15, 30, "fight"), (40, 50, "fight")]},
    ),
    "Charades": (
        "id,subject,actions,length\na,S,c092 1.50 3.00;c147 0.00 1.20,24.8\nb,S,,9\n",
        {"a": [(15, 30, "c092"), (0, 12, "c147")], "b": []},
    ),
    "BORIS, aggregated": (
        "Observation id,Media file,Total length,FPS,Start time,Stop time,Duration,Subject,Behavior,"
        "Behavioral category,Behavior type,Start (s),Stop (s),Duration (s),Comment start\n"
        "o1,T:/v/a.mp4,138.0,10,2000-01-01T00:00:00,2000-01-01T00:00:00,,x,fight,Bad,STATE,1.500,3.000,1.5,\n",
        {"a": AB["a"]},
    ),
    "BORIS, tabular": (
        "Observation id,Media file name,FPS,Behavior,Behavior type,Time\n"
        "o,a.mp4,10,fight,START,1.5\no,a.mp4,10,theft,START,2\no,a.mp4,10,fight,STOP,3\n"
        "o,a.mp4,10,theft,STOP,4\n",
        {"a": [(15, 30, "fight"), (20, 40, "theft")]},
    ),
    "VIA 3 CSV": (
        "# Exported using VGG Image Annotator\n# SHAPE_ID = {}\n"
        "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata\n"
        '"1_j","[""a.mp4""]",0,"[1.5,3]","[]","{""1"":""fight""}"\n',
        {"a": AB["a"]},
    ),
    "ELAN": (
        "Tier\tBegin Time - hh:mm:ss.ms\tBegin Time - ss.msec\tEnd Time - hh:mm:ss.ms\t"
        "End Time - ss.msec\tDuration - ss.msec\tAnnotation\tFile Path\n"
        "anomaly\t00:00:01.500\t1.5\t00:00:03.000\t3.0\t1.5\tfight\tfile:///C:/v/a.mp4\n",
        {"a": AB["a"]},
    ),
    "ELAN, a column per tier": (
        "Begin Time - hh:mm:ss.ms\tEnd Time - hh:mm:ss.ms\tD\tE\n00:00:01.500\t00:00:03.000\tfight\t\n",
        {"cam1": AB["a"]},
    ),
    "ELAN without header": (
        "tier\t\t00:00:01.500\t1.5\t00:00:03.000\t3.0\t00:00:01.500\t1.5\tfight\n",
        {"cam1": AB["a"]},
    ),
    "Audacity": ("1.500000\t3.000000\tfight\n", {"cam1": AB["a"]}),
    "a row per frame": (
        "video,frame,label\n" + "".join(f"a,{i},{int(15 <= i < 30)}\n" for i in range(40)),
        {"a": [(15, 30)]},
    ),
    "frames from 1": (
        "frame,label\n"
        + "".join(f"{i},{'fight' if 15 < i < 31 else 'normal'}\n" for i in range(1, 41)),
        {"cam1": AB["a"]},
    ),
    "every 5th frame": (
        "video,frame,label\n" + "".join(f"a,{i},{int(15 <= i < 30)}\n" for i in range(0, 40, 5)),
        {"a": [(15, 30)]},
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path, name):
    content, expected = TABLES[name]
    assert frames(read(tmp_path, content)) == expected


# Rows without a header.
TEXTS = {
    "words for normal": ("a fight 15 30\nb none -1 -1\nc background -1 -1\n", {**AB, "c": []}),
    "ranges": ("a.mp4 fight 0:01.5-0:03\nb.mp4 normal\n", AB),
    "brackets": ("a.mp4: [15, 30] [40, 50]\nb.mp4 none\n", {"a": [(15, 30), (40, 50)], "b": []}),
    "brackets without a colon": (
        "a.mp4 [15,30]\nb.mp4 [[1,3],[7,9]]\n",
        {"a": [(15, 30)], "b": [(1, 3), (7, 9)]},
    ),
    "pairs with commas": ("a.mp4 15,30 40,50\n", {"a": [(15, 30), (40, 50)]}),
    "names with blanks": ('my a.mp4 15 30\n"b b" none\n', {"my a": [(15, 30)], "b b": []}),
    "one event per line": (
        "a.mp4 fight 15 30\na.mp4 theft 40 50\nb.mp4 Normal -1 -1\n",
        {"a": [(15, 30, "fight"), (40, 50, "theft")], "b": []},
    ),
    "repeated": ("a fight 15 30\nb Normal\na fight 15 30\n", AB),
    "short normal rows": ("a fight 15 30\nb Normal\n", AB),
    "seconds": ("a.mp4 fight 1.5 3.0\nb.mp4 normal -1 -1\n", AB),
    "seconds, class last": ("a.mp4 1.5 3 fight\nb.mp4 normal\n", AB),
    "clock": ("a.mp4 0:01.5 0:03\nb.mp4 none\n", {"a": [(15, 30)], "b": []}),
    "frames, class last": (
        "a 15 30 fight 40 50 theft\nb none\n",
        {"a": [(15, 30, "fight"), (40, 50, "theft")], "b": []},
    ),
    "commas": ("a.mp4,fight,15,30\nb.mp4,normal,,\n", AB),
    "commas, begins at 0": (
        "a.mp4,0,30\nc.mp4,1,90\nb.mp4,-1,-1\n",
        {"a": [(0, 30)], "c": [(1, 90)], "b": []},
    ),
    "decimal commas": ("a.mp4;1,5;3,0;fight\nb.mp4;normal\n", AB),
    "tabs, names with blanks": (
        "my a.mp4\tfight\t15\t30\nb b.mp4\tNormal\t-1\t-1\n",
        {"my a": AB["a"], "b b": []},
    ),
    "bars": ("a.mp4|100|[15, 30, -1, -1]\nb.mp4|90|[-1, -1]\n", {"a": [(15, 30)], "b": []}),
    "normal part": ("a normal 0 15\na fight 15 30\nb normal 0 90\n", AB),
    "masks": ("a.mp4 0 1 1 0 0\nb.mp4 0 0 0 0 0\n", {"a": [(1, 3)], "b": []}),
    "masks of 255": ("a,0,255,255,0,0\nb,0,0,0,0,0\n", {"a": [(1, 3)], "b": []}),
    "comments": ("# video class start end\na fight 15 30\nb Normal\n", AB),
}


@pytest.mark.parametrize("name", TEXTS)
def test_rows_without_header(tmp_path, name):
    content, expected = TEXTS[name]
    assert frames(read(tmp_path, content)) == expected


EVENT = {"start": 1.5, "end": 3.0, "label": "fight"}
LS = {"id": 1, "file_upload": "0a1b2c3d-a.mp4", "data": {"video": "/data/upload/1/0a1b2c3d-a.mp4"}}
JSONS = {
    "strings as times": ({"a": [["1.5", "3.0"]], "b": []}, {"a": [(15, 30)], "b": []}),
    "frames and duration of the video": ({"a": {"num_frames": 100, "duration": 5, "events": [[1.5, 3.0]]}}, {"a": [(30, 60)]}),
    "a rate in the metadata": ({"a": {"metadata": {"fps": 20}, "events": [[1.5, 3.0]]}}, {"a": [(30, 60)]}),
    "a rate in a block of facts": ({"info": {"fps": 20, "by": "x"}, "annotations": [{"video": "a", "start": 1.5, "end": 3}]}, {"a": [(30, 60)]}),
    "a rate for all videos": ({"fps": 20, "videos": [{"name": "a", "events": [[1.5, 3.0]]}]}, {"a": [(30, 60)]}),
    "a unit for all videos": ({"time_unit": "ms", "annotations": {"a": [[1500, 3000]], "b": []}}, {"a": [(15, 30)], "b": []}),
    "start and end of HC-STVG": ({"a": {"st_time": 1.5, "ed_time": 3, "img_num": 90}}, {"a": [(15, 30)]}),
    "ActivityNet with a class for normal": (
        {"database": {"a": {"annotations": [{"segment": [1.5, 3], "label": "fight"}, {"segment": [3, 4], "label": "Normal"}]}, "b": {"annotations": [{"segment": [1, 2], "label": "Normal"}]}}},
        AB,
    ),
    "COCO, class folders with equal names": (
        {"images": [{"id": 10 * f + i, "file_name": f"{folder}/1/{i}.jpg"} for f, folder in enumerate("xy") for i in range(4)], "annotations": [{"image_id": 11}]},
        {"x/1": [], "y/1": [(1, 2)]},
    ),
    "COCO, objects whose action is normal": (
        {"images": [{"id": i, "file_name": f"a/{i}.jpg"} for i in range(40)], "annotations": [{"image_id": i, "attributes": {"action": "fight" if 15 <= i < 30 else "normal"}} for i in range(40)]},
        {"a": [(15, 30)]},
    ),
    "by class": ({"fight": [{"video": "a", "start": 1.5, "end": 3}], "theft": [{"video": "c", "start": 0.5, "end": 1}]}, {"a": AB["a"], "c": [(5, 10, "theft")]}),
    "VERA, an entry per event": ([{"video": "a", "temporal_label": [15, 30], "length": 90}, {"video": "a", "temporal_label": [40, 50], "length": 90}], {"a": [(15, 30), (40, 50)]}),
    "COCO with an attribute of images": (
        {"images": [{"id": i, "file_name": f"a_{i}.jpg", "attributes": {"anomaly": 15 <= i < 30}} for i in range(40)], "annotations": []},
        {"a": [(15, 30)]},
    ),
    "COCO with an attribute of objects": (
        {
            "images": [{"id": i, "file_name": f"a_mp4-{i:04d}_jpg.rf.0a1b2c.jpg"} for i in range(40)],
            "annotations": [{"image_id": i, "category_id": 1, "attributes": {"is_anomaly": int(15 <= i < 30)}} for i in range(40)],
            "categories": [{"id": 1, "name": "fight"}],
        },
        {"a": AB["a"]},
    ),
    "strings": ({"a": ["0:01.5-0:03"], "b": []}, {"a": [(15, 30)], "b": []}),
    "starts and ends": ({"a": {"label": "fight", "start": [1.5], "end": [3]}}, {"a": AB["a"]}),
    "events under any name": ([{"video": "a", "incidents": [{**EVENT, "id": 3}]}], {"a": AB["a"]}),
    "0 and 1 as labels": ([{"video": "a", "label": 1, "start": 1.5, "end": 3}, {"video": "b", "label": 0}], {"a": [(15, 30)], "b": []}),
    "objects": ({"a.mp4": [EVENT], "b.mp4": []}, AB),
    "list": ([{"video": "a.mp4", **EVENT}, {"video": "b", "start": None, "end": None}], AB),
    "triples": ({"a": [[1.5, 3.0, "fight"]], "b": []}, AB),
    "triples, class first": ({"a": [["fight", 1.5, 3.0]], "b": []}, AB),
    "one pair": ({"a": [1.5, 3.0], "b": []}, {"a": [(15, 30)], "b": []}),
    "one event": ({"a": EVENT}, {"a": AB["a"]}),
    "events": ({"a": {"fps": 20, "events": [EVENT]}, "b": {"events": []}}, {"a": [(30, 60, "fight")], "b": []}),
    "segments": ([{"video": "a", "label": "fight", "segments": [[1.5, 3.0]]}, {"video": "b", "label": "normal", "segments": []}], AB),
    "timestamps": ({"a": {"duration": 10, "timestamps": [[1, 3]], "labels": ["fight"]}}, {"a": [(10, 30, "fight")]}),
    "clock": ([{"file": "a.mp4", "begin": "00:01.5", "stop": "00:03", "type": "fight"}], {"a": AB["a"]}),
    "frames by name": ([{"video": "a", "start_frame": 15, "end_frame": 30, "class": "fight"}], {"a": AB["a"]}),
    "a list per column": ({"video": ["a", "b"], "start": [1.5, None], "end": [3.0, None], "label": ["fight", "normal"]}, AB),
    "wrapped": ({"version": 1, "videos": [{"name": "a", "events": [EVENT]}, {"name": "b", "events": []}]}, AB),
    "one video": ({"video": "a.mp4", "annotations": [EVENT]}, {"a": AB["a"]}),
    "ActivityNet": (
        {"version": "1", "database": {"a": {"subset": "val", "duration": 10.0, "annotations": [{"segment": [1.5, 3], "label": "fight"}]}, "b": {"annotations": []}}},
        AB,
    ),
    "masks": ({"a": [0, 1, 1, 0, 0], "b": [0] * 5}, {"a": [(1, 3, )], "b": []}),
    "VIA 3": (
        {
            "attribute": {"1": {"aname": "x", "options": {"0": "fight"}}},
            "file": {"1": {"fname": "a.mp4"}, "2": {"fname": "b.mp4"}},
            "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
            "metadata": {"1_x": {"vid": "1", "z": [1.5, 3], "xy": [], "av": {"1": "0"}}},
        },
        AB,
    ),
    "VIA 2": (
        {
            f"a_{i}.jpg9": {"filename": f"a_{i}.jpg", "regions": [{"region_attributes": {"x": "fight"}}] * (15 <= i < 30)}
            for i in range(40)
        },
        {"a": AB["a"]},
    ),
    "Label Studio, seconds": (
        [
            {**LS, "annotations": [{"result": [{"value": {"start": 1.5, "end": 3, "labels": ["fight"]}}]}]},
            {"data": {"video": "s3://x/b.mp4"}, "annotations": [{"result": []}]},
        ],
        AB,
    ),
    "Label Studio, timeline": (
        [{**LS, "annotations": [{"result": [{"value": {"ranges": [{"start": 16, "end": 30}], "timelinelabels": ["fight"]}}]}]}],
        {"a": AB["a"]},
    ),
    "COCO": (
        {
            "images": [{"id": i, "file_name": f"a/frame_{i:06d}.jpg"} for i in range(40)],
            "annotations": [{"id": 1, "image_id": i, "category_id": 3} for i in range(15, 30)],
            "categories": [{"id": 3, "name": "fight"}],
        },
        {"a": AB["a"]},
    ),
    "COCO with videos": (
        {
            "videos": [{"id": 7, "name": "a.mp4"}],
            "images": [{"id": i, "file_name": f"{i}.jpg", "video_id": 7, "frame_index": i} for i in range(40)],
            "annotations": [{"image_id": i, "category_id": 3} for i in range(15, 30)],
            "categories": [{"id": 3, "name": "fight"}],
        },
        {"a": AB["a"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JSONS)
def test_json(tmp_path, name):
    content, expected = JSONS[name]
    assert frames(read(tmp_path, json.dumps(content), "cam1.json")) == expected


def test_json_lines(tmp_path):
    lines = [{"video": "a", **EVENT}, {"video": "b", "label": "normal"}]
    assert frames(read(tmp_path, "\n".join(map(json.dumps, lines)), "t.jsonl")) == AB


ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds">
<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/v/a.mp4"/></HEADER><TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="1500"/><TIME_SLOT TIME_SLOT_ID="t2" TIME_VALUE="3000"/>
</TIME_ORDER><TIER TIER_ID="x"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1"
TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2"><ANNOTATION_VALUE>fight</ANNOTATION_VALUE>
</ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""
CVAT = (
    "<annotations><meta><task><id>1</id><source>a.mp4</source></task></meta>"
    '<track id="0" label="fight">'
    + "".join(f'<box frame="{i}" outside="{int(i == 30)}"/>' for i in range(15, 31))
    + "</track></annotations>"
)
CVAT_NORMAL = (
    "<annotations><meta><task><id>1</id><source>a.mp4</source></task></meta>"
    '<track id="0" label="fight">'
    + "".join(
        f'<box frame="{i}" outside="0"><attribute name="x">{"" if 15 <= i < 30 else "normal"}</attribute></box>'
        for i in range(40)
    )
    + "</track></annotations>"
)
CVAT_VIDEO_IMAGES = (
    "<annotations><meta><task><id>1</id><source>a.mp4</source></task></meta>"
    + "".join(
        f'<image id="{i}" name="frame_{i:06d}">{"<tag label=" + chr(34) + "fight" + chr(34) + "/>" if 15 <= i < 30 else ""}</image>'
        for i in range(40)
    )
    + "</annotations>"
)
BOX = '<box label="fight"/>'
CVAT_IMAGES = (
    "<annotations>"
    + "".join(f'<image id="{i}" name="a/{i}.png">{BOX * (15 <= i < 30)}</image>' for i in range(40))
    + "</annotations>"
)
ANVIL = (
    '<annotation><head><video src="v/a.mp4"/></head><body><track name="t">'
    '<el index="0" start="1.5" end="3.0"><attribute name="type">fight</attribute></el>'
    "</track></body></annotation>"
)


@pytest.mark.parametrize(
    "content", [ELAN, CVAT, CVAT_NORMAL, CVAT_IMAGES, CVAT_VIDEO_IMAGES, ANVIL]
)
def test_xml(tmp_path, content):
    assert frames(read(tmp_path, content, "cam1.eaf")) == {"a": AB["a"]}


def test_folders_with_a_file_per_video(tmp_path):
    for folder, files, expected in (
        ("masks", {"a.txt": "0\n1\n1\n0\n", "b.txt": "0 0 0"}, {"a": [(1, 3)], "b": []}),
        ("bytes", {"a.txt": "0\n255\n255\n", "b.txt": "0.0\n0.0"}, {"a": [(1, 3)], "b": []}),
        ("commas", {"a.txt": "0,1,1,0,0", "b.txt": "[0, 0, 0]"}, {"a": [(1, 3)], "b": []}),
        ("numbered", {"a.txt": "0 0\n1 1\n2 1\n3 0\n4 0\n", "b.txt": "00000"}, {"a": [(1, 3)], "b": []}),
        ("words", {"a.txt": "label\nFalse\nTrue\nTrue\n", "b.txt": "label\n0\n"}, {"a": [(1, 3)], "b": []}),
        ("nothing", {"a.csv": "start,end\n1.5,3\n", "b.csv": "start,end\n", "._a.csv": "\0"}, {"a": [(15, 30)], "b": []}),
        ("empty", {"a.txt": "1.5\t3.0\tfight\n", "b.txt": ""}, AB),
        ("subfolders", {"x/1.txt": "1.5\t3\n", "y/1.txt": "2.5\t3\n"}, {"x/1": [(15, 30)], "y/1": [(25, 30)]}),
        ("mixed", {"a.csv": "start,end\n1.5,3\n", "c.csv": "start,end\n2,5\n"}, {"a": [(15, 30)], "c": [(20, 50)]}),
        ("audacity", {"a.txt": "1.5\t3.0\tfight\n", "c.txt": "0.5\t1.0\tx\n"}, {"a": AB["a"], "c": [(5, 10, "x")]}),
        ("frames", {"a.csv": "frame,label\n0,0\n1,1\n2,1\n3,0\n"}, {"a": [(1, 3)]}),
    ):  # fmt: skip
        (tmp_path / folder).mkdir()
        for name, content in files.items():
            (tmp_path / folder / name).parent.mkdir(exist_ok=True)
            (tmp_path / folder / name).write_text(content)
        assert frames(read_annotations(tmp_path / folder)) == expected, folder


def test_masks_of_other_kinds(tmp_path):
    mask = np.array([0, 1, 1, 0])
    for i, array in enumerate((mask > 0, (mask * 255).astype(np.uint8), mask[:, None] * 1.0)):
        folder = tmp_path / str(i)
        folder.mkdir()
        np.save(folder / "a.npy", array)
        assert frames(read_annotations(folder)) == {"a": [(1, 3)]}
        assert read_annotations(folder).num_frames == {"a": 4}


def test_what_lies_beside_masks_is_named(tmp_path):
    np.save(tmp_path / "a.npy", [0, 1])
    (tmp_path / "c.txt").write_text("0\n1\n")
    assert read_annotations(tmp_path).notes == ("files beside them that were not read: c.txt",)


def test_the_name_of_a_text_states_its_unit(tmp_path):
    truth = read(tmp_path, "a fight 2 3\nb Normal -1 -1\n", "truth_seconds.txt")
    assert (frames(truth), truth.unit_reason) == ({"a": [(20, 30, "fight")], "b": []}, "")


def test_excel_writes_unicode_text(tmp_path):
    (tmp_path / "t.txt").write_text("video\tstart\tend\na\t1,5\t3,0\n", encoding="utf-16")
    assert frames(read_annotations(tmp_path / "t.txt")) == {"a": [(15, 30)]}


def test_what_was_read_is_said(tmp_path):
    truth = read(tmp_path, "who,file,start,end,what\nx,a.mp4,15,30,y\n")
    assert truth.grammar == "CSV table (frames)"
    assert truth.notes[0] == (
        "events: 1, videos: 1, from the columns 'file' (video), 'start' (start), 'end' (end), in "
        "frames; columns not read: who, what"
    )
    assert truth.unit_reason == "all numbers in 'start' are whole"
    text = read(tmp_path, "a x 1.5 2\na x 1.5 2\na y 2 3\nb normal 0 9\n")
    assert text.grammar == "name (class start end)+ (seconds)"
    assert text.unit_reason == "some numbers have a decimal point"
    assert text.notes == (
        "videos with several rows, which are read together: 1, first a",
        "rows labelled normal with times are normal parts: videos 1, first b",
        "rows that repeat an earlier row exactly and count once: 1, first of a",
    )


BAD = {
    "no rate": ("video,start,end,fps\na,1.5,3,fast\n", "'fast' in 'fps' is not a rate"),
    "no unit": ("video,start,end,unit\na,1,3,jiffies\n", "'jiffies' in 'unit'; one of frames"),
    "two units": ("video,start,end,unit\na,1,3,s\nb,1,3,ms\n", "line 3: 'ms' in 'unit'"),
    "0 beside a class": ("video,start,end,label,class\na,1.5,3,0,fight\n", "line 2: 0 in 'label' and 'fight' in 'class'; call"),
    "unknown columns": ("Datei;Beginn;Ende\na.mp4;1,5;3,0\n", "line 1: no temporal annotation is known by such names"),
    "image without video": ("image,label\n1.jpg,x\n", "the image '1.jpg' names no video and frame"),
    "whole videos": ('[{"data": {"video": "a.mp4"}, "annotations": [{"result": [{"value": {"choices": ["x"]}}]}]}]', "labels of the whole video"),
    "a frame twice": ("video,frame,label\na,3,1\na,3,0\n", "frame 3 of a is anomalous in one row and normal"),
    "thousands": ("video,start_ms,end_ms\na,\"1,500\",\"2,750\"\n", "'1,500' in 'start_ms' is not a time"),
    "scores": ("video,frame,score\na,0,0.2\n", "no temporal annotation"),
    "subtitles": ("1\n00:00:01,000 --> 00:00:03,000\nfight\n", "subtitles"),
    "starts without ends": ('{"a": {"start": [1.5, 4], "end": [3]}}', "2 starts and 1 ends"),
    "normal and a span": ("a Normal -1 -1\na fight 5 9\n", "line 2: a has a span here and is normal in line 1; correct"),
    "two frame counts": ("a 90 fight 5 9\na 80 fight 20 30\n", "a has 80 frames here and 90 in line 1"),
    "two labels": ("a fight\na theft\n", "write both in one row, 'fight,theft'"),
    "frame code": ("video,start,end\na,00:00:01:12,00:00:03:00\n", "time code that ends in frames"),
    "date": ("video,start,end\na,2024-01-05 10:00:01,2024-01-05 10:00:03\n", "is a date"),
    "half an event": ("video,start,end\na,1.5,\n", "a has nothing in 'end'"),
    "no name": ("video,start,end\n,1.5,2\n", "no video name in 'video'"),
    "part of a frame": ("video,start_frame,end_frame\na,1.5,2\n", "1.5 is not a whole frame number"),
    "backwards": ("video,start,end\na,5,2\n", "line 2: span 5 2 of a"),
    "frames as floats": ("video,start,end\na,5.0,9.0\nb,,\n", "frames or seconds"),
    "too many fields": ("video,start,end\na,b,5,9\n", "4 fields, but the header has 3"),
    "the odd line": ("a 1.5 3 fight\nb Normal -1 -1\nc 2 x y z\nd 3.5 4 theft\n", "line 3: does not fit 'name"),
    "no common grammar": ("a b c d\ne 1 2 3 f\n", "line 1: no temporal annotation"),
    "values without names": ("0 0 1 1\n0 1 1 0\n", "values without the name of their video"),
    "one mask": ("0\n1\n1\n", "a lone vector"),
    "a list": ("a.mp4,fight\nb.mp4,normal\n", "as --list"),
    "never stops": ("video,Behavior,status,Time\na,x,START,1\n", "starts and never stops"),
    "two keys": ('{"a": [[1, 2]], "a": [[5, 9]]}', "the key 'a' appears twice"),
    "key of images": ('{"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": []}', "names no video and frame"),
    "web page": ("<!DOCTYPE html><html><p>log in</html>", "web page"),
    "other XML": ("<root/>", "none of ELAN, CVAT or Anvil"),
    "entities": ('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(tmp_path, name):
    content, message = BAD[name]
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, content).in_frames(fps=10)
    assert str(tmp_path / "cam1.txt") in str(caught.value) and "\n" not in str(caught.value)
