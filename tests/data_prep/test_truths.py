"""Which truth it is: span hashes, the kept official annotations."""

import pytest

from data_prep.annotations import read_annotations
from data_prep.annotations.truths import merged, official, span_hash
from data_prep.catalogue.lookup import known_truth
from data_prep.dataset.videos import Span

OFFICIAL = official("UCF-Crime")


def test_span_hash_depends_on_frames_alone():
    spans = {"b": (Span(5, 9, "x"),), "a_x264": (Span(0, 2), Span(2, 4)), "n": ()}
    other = {"a": (Span(1, 4, "y"), Span(0, 2)), "b": (Span(5, 9),)}
    assert span_hash(spans) == span_hash(other)
    assert span_hash(spans) != span_hash({**spans, "n": (Span(0, 1),)})
    assert merged([Span(5, 9), Span(0, 3), Span(2, 4)]) == ((0, 4), (5, 9))
    assert merged([Span(5, 9), Span(0, 3), Span(2, 4)], 5) == ((0, 4),)


def test_kept_official_truth_is_the_official_one():
    assert known_truth(span_hash(OFFICIAL.spans)) == "official (UCF-Crime)"
    assert len(OFFICIAL.spans) == 290 and sum(OFFICIAL.num_frames.values()) == 1_111_808
    xd = official("XD-Violence")
    assert known_truth(span_hash(xd.spans)) == "official (XD-Violence)"
    assert len(xd.spans) == 800 and sum(bool(spans) for spans in xd.spans.values()) == 500


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("WaqasSultani+AnomalyDetectionCVPR2018/Temporal_Anomaly_Annotation.txt", "official (UCF"),
        ("zuble+uws4vad/data/gt/ucf.txt", "official (UCF"),
        ("ktr-hubrt+UMIL/labels/UCF_test.txt", "UMIL edits"),
        ("vera-framework+VERA/Data/UCF_Eval.json", "UMIL edits"),
        ("yujiangpu20+PEL4VAD/list/ucf/single_gt.repacked.npz", "official (UCF-Crime), cut"),
        ("henrryzh1+UR-DMU/list/XD_Annotation.txt", "official (XD"),
        ("nwpu-zxr+VadCLIP/list/annotations_multiclasses.txt", "official, spans by class"),
        ("vera-framework+VERA/Data/xd_test_800.json", "VERA edits"),
        ("yujiangpu20+PEL4VAD/list/xd/xd-gt.repacked.npz", "official (XD-Violence), cut"),
        ("EavnJeong+IEF-VAD/list/xd_annotation.txt", "official, without the 47"),
        ("ktr-hubrt+UMIL/labels/TAD_test.txt", "UMIL (TAD)"),
    ],
)
def test_hashes_of_published_truths(shared_data, file, name):
    truth = read_annotations(shared_data / "published" / file)
    assert known_truth(span_hash(truth.spans)).startswith(name)
