"""Clusters: known colours, the silhouette's definition, the choice of their number."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli import app
from interp.errors import MaskError, UsageError
from reports.clusters import neutrality, why_so_many
from segment.kmeans import Fit, blackout, choose_k, cluster, mean_silhouette


def flag(noise: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Grey ground (2/3), a red and a blue field in the middle (1/6 each), and which is where."""
    truth = np.zeros((60, 90), np.uint8)
    truth[15:45, 15:45], truth[15:45, 45:75] = 1, 2
    colours = np.array([(150, 150, 150), (200, 40, 40), (40, 60, 190)], float)
    photo = colours[truth] + np.random.default_rng(0).normal(0, noise, (60, 90, 3))
    return np.clip(photo, 0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("features", ["rgb", "lab"])
def test_known_colours_are_found_with_their_shares(features: str) -> None:
    photo, truth = flag()
    found = cluster(photo, features=features)
    assert found.k == 3 and found.features == features
    assert found.shares[0] == pytest.approx(2 / 3, abs=0.01) and sum(found.shares) == pytest.approx(1)
    for label in range(3):
        inside = found.labels_hw_u8[truth == label]
        assert (inside == np.bincount(inside).argmax()).mean() > 0.99
    np.testing.assert_allclose(found.colours_k3_u8[0], (150, 150, 150), atol=2)
    np.testing.assert_array_equal(found.map_hwc_u8[0, 0], found.colours_k3_u8[0])
    assert found.hex_colours[0].startswith("#9")


def test_mean_colours_are_the_means_of_the_pixels() -> None:
    photo, _ = flag(noise=40)
    found = cluster(photo, k=5)
    for label in range(5):
        expected = photo[found.labels_hw_u8 == label].mean(axis=0)
        np.testing.assert_allclose(found.colours_k3_u8[label], expected, atol=0.51)
    assert list(found.shares) == sorted(found.shares, reverse=True)


def test_place_parts_what_colours_join() -> None:
    flat = np.full((40, 120, 3), 120, np.uint8)
    flat[18:22, 58:62] = (220, 60, 40)
    by_colour, with_place = cluster(flat, k=2), cluster(flat, features="lab+xy", k=2)
    assert by_colour.labels_hw_u8[5, 5] == by_colour.labels_hw_u8[5, 115]
    left, right = with_place.labels_hw_u8[:16, :55], with_place.labels_hw_u8[:16, 65:]
    assert (left == left[0, 0]).all() and (right != left[0, 0]).all()


def test_the_silhouette_is_its_definition(rng: np.random.Generator) -> None:
    points, labels = rng.normal(size=(30, 3)), np.r_[np.zeros(12, int), np.ones(10, int), np.full(7, 2), 3]
    widths = []
    for i, point in enumerate(points):
        distance = np.sqrt(((points - point) ** 2).sum(1))
        mine = (labels == labels[i]) & (np.arange(30) != i)
        if not mine.any():
            widths.append(0.0)
            continue
        a, b = distance[mine].mean(), min(distance[labels == other].mean() for other in set(labels) - {labels[i]})
        widths.append((b - a) / max(a, b))
    assert mean_silhouette(points, labels) == pytest.approx(np.mean(widths))


def test_the_elbow_chooses_and_the_silhouette_decides_between_neighbours() -> None:
    fits = [Fit(2, 0.5, 0.3), Fit(3, 0.1, 0.4), Fit(4, 0.08, 0.7), Fit(5, 0.07, 0.9), Fit(6, 0.06, 0.2)]
    assert choose_k(fits) == (4, 3)
    assert choose_k([Fit(2, 0.0, 1.0)]) == (2, None)


def test_blackout_paints_what_was_named_and_nothing_else() -> None:
    photo, _ = flag()
    found = cluster(photo, k=3)
    black = blackout(photo, found, [1, 3])
    named = found.labels_hw_u8 != 1
    assert not black[named].any()
    np.testing.assert_array_equal(black[~named], photo[~named])
    with pytest.raises(UsageError, match="there are 3"):
        blackout(photo, found, [4])


def test_a_neutral_background_is_called_one_and_a_mixed_one_not(rng: np.random.Generator) -> None:
    neutral = cluster(flag()[0], k=3)
    assert neutral.neutral == "good" and neutral.border_shares[neutral.background] > 0.99
    assert "100% of the border" in neutrality(neutral)
    stripes = np.repeat(rng.permutation(np.linspace(0, 255, 30)), 3)[None, :, None].repeat(60, 0).repeat(3, 2)
    assert cluster(stripes.astype(np.uint8), k=6).neutral == "bad"


def test_large_pictures_are_learned_on_a_sample_and_seeds_repeat() -> None:
    photo = np.kron(flag()[0], np.ones((5, 5, 1), np.uint8))
    first, again = cluster(photo, seed=3), cluster(photo, seed=3)
    np.testing.assert_array_equal(first.labels_hw_u8, again.labels_hw_u8)
    assert (first.elbow and f"bends at {first.elbow}" in why_so_many(first)) or "bends there" in why_so_many(first)
    assert first.k == 3 and first.shares[0] == pytest.approx(2 / 3, abs=0.01)


def test_what_cannot_be_clustered_is_said() -> None:
    photo, _ = flag()
    with pytest.raises(MaskError, match="1 distinct"):
        cluster(np.full((20, 20, 3), 9, np.uint8))
    for features, k in (("lab", 1), ("lab", 99), ("hsv", None), ("vgg", None)):
        with pytest.raises(UsageError):
            cluster(photo, features=features, k=k)
    two = np.zeros((20, 20, 3), np.uint8)
    two[:, 10:] = 255
    assert cluster(two).k == 2


def test_the_command_writes_map_blackout_figure_stats_and_report(tmp_path: Path) -> None:
    Image.fromarray(flag()[0]).save(tmp_path / "flag.png")
    arguments = ["kmeans", str(tmp_path / "flag.png"), "--out-dir", str(tmp_path), "--json", "--blackout", "2,3"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    outputs = json.loads(result.stdout)["outputs"]
    assert set(outputs) == {"map", "blackout", "figure", "stats", "report"}
    black, photo = (np.asarray(Image.open(path)) for path in (outputs["blackout"], tmp_path / "flag.png"))
    assert not black[30, 30].any() and not black[30, 60].any()
    np.testing.assert_array_equal(black[0], photo[0])
    stats = json.loads(Path(outputs["stats"]).read_text())
    assert stats["k"] == 3 and stats["neutral"] == "good" and len(stats["fits"]) == 7
    assert "The background is neutral" in result.stderr and "Share of the border" in Path(outputs["report"]).read_text()
    for wrong in ("0", "a", "1,"):
        assert CliRunner().invoke(app, ["kmeans", str(tmp_path / "flag.png"), "--blackout", wrong]).exit_code == 2


def test_deep_features_join_what_has_one_texture(compact) -> None:
    from segment.hypercolumns import Hypercolumns

    rows, columns = np.mgrid[:160, :160]
    texture = np.where(columns < 80, (rows // 4) % 2, (columns // 4) % 2)[..., None]
    photo = (60 + 130 * texture).repeat(3, 2).astype(np.uint8)
    found = cluster(photo, features="vgg", k=2, describe=Hypercolumns(compact))
    left, right = found.labels_hw_u8[20:140, 10:70], found.labels_hw_u8[20:140, 90:150]
    assert (left == left[0, 0]).mean() > 0.95 and (right != left[0, 0]).mean() > 0.95
