import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.interpolation import affinity
from nnunet_sparse.interpolation.affinity import local_affinity


def by_shifted_copies(query, key, value, radius, bias=None, counted=False):
    """The published way: one shifted copy for each shift; shifts out of the slice may not count."""
    height, width = query.shape[2:]
    shifts = [(y, x) for y in range(2 * radius + 1) for x in range(2 * radius + 1)]

    def copies(image, fill=0.0):
        around = F.pad(image, (radius,) * 4, value=fill)
        return torch.stack([around[:, :, y : y + height, x : x + width] for y, x in shifts])

    outside = copies(torch.zeros_like(key[:, :1]), 1.0)[:, :, 0]
    product = (query * copies(key)).sum(dim=2)
    if bias is not None:
        product = product + bias.flatten(1).T[:, :, None, None]
    if not counted:
        product = product.masked_fill(outside > 0, -torch.inf)
    return (product.softmax(dim=0)[:, :, None] * copies(value)).sum(dim=0)


def slices(shape, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    n, _, height, width = shape
    query, key = (torch.randn(shape, generator=generator, requires_grad=True) for _ in range(2))
    value = torch.rand(n, channels, height, width, generator=generator, requires_grad=True)
    return query, key, value


@pytest.mark.parametrize("tile", [4, 16])
@pytest.mark.parametrize(
    ("shape", "radius"),
    [((2, 5, 9, 37), 2), ((1, 8, 40, 33), 6), ((1, 3, 4, 3), 6), ((2, 4, 20, 20), 0)],
)
def test_the_published_way_gives_the_same(monkeypatch, shape, radius, tile):
    monkeypatch.setattr(affinity, "_TILE", tile)
    query, key, value = slices(shape)
    found = local_affinity(query, key, value, radius)
    expected = by_shifted_copies(query, key, value, radius)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    upstream = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, (query, key, value), upstream),
        torch.autograd.grad(expected, (query, key, value), upstream),
        rtol=0,
        atol=1e-4,
    )


@pytest.mark.parametrize(("shape", "radius"), [((2, 5, 9, 37), 2), ((1, 3, 4, 3), 6)])
def test_shifts_out_of_the_slice_as_in_the_published_code(shape, radius):
    query, key, value = slices(shape)
    found = local_affinity(query, key, value, radius, outside=True)
    expected = by_shifted_copies(query, key, value, radius, counted=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    upstream = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, (query, key, value), upstream),
        torch.autograd.grad(expected, (query, key, value), upstream),
        rtol=0,
        atol=1e-4,
    )
    # part of what lies at the border vanishes, but from all classes alike: the same one wins
    classes = F.one_hot(value.argmax(dim=1)).permute(0, 3, 1, 2).float()
    some, whole = (
        local_affinity(query, key, classes, radius, outside=out) for out in (True, False)
    )
    assert some.sum(dim=1)[:, 0, 0].max() < 1 - 1e-3
    ratio = some.sum(dim=1, keepdim=True)
    torch.testing.assert_close(some, whole * ratio, rtol=0, atol=1e-5)


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_a_shift_is_followed_exactly(y, x):
    generator = torch.Generator().manual_seed(0)
    reference = 30 * F.normalize(torch.randn(1, 8, 24, 20, generator=generator), dim=1)
    value = torch.rand(1, 2, 24, 20, generator=generator)
    target = torch.roll(reference, (y, x), dims=(2, 3))
    found = local_affinity(target, reference, value, 3)
    inner = (..., slice(3, -3), slice(3, -3))
    expected = torch.roll(value, (y, x), dims=(2, 3))
    torch.testing.assert_close(found[inner], expected[inner], rtol=0, atol=1e-4)


@pytest.mark.parametrize("rows", [2, 99])
def test_rows_at_once_do_not_matter(monkeypatch, rows):
    def run():
        inputs = slices((2, 4, 30, 20))
        found = local_affinity(*inputs, 3)
        return found, *torch.autograd.grad(found.square().sum(), inputs)

    def bands(tiling, *_):
        for row in range(0, tiling.rows, rows):
            first, end = row * tiling.side, min(row + rows, tiling.rows) * tiling.side
            yield slice(first, end), slice(first, end + 2 * tiling.radius)

    expected = run()
    monkeypatch.setattr(affinity._Tiling, "bands", bands)
    torch.testing.assert_close(run(), expected, rtol=0, atol=1e-5)


def test_a_part_of_the_target():
    query, key, value = slices((1, 6, 50, 60))
    whole = local_affinity(query, key, value, 4)
    rows, columns = slice(6, 35), slice(0, 21)
    part = local_affinity(
        query[:, :, 10:31, :17], key[:, :, rows, columns], value[:, :, rows, columns], 4, (4, 0)
    )
    torch.testing.assert_close(part, whole[:, :, 10:31, :17], rtol=0, atol=1e-5)


def test_half_precision_around_it_does_not_matter():
    def run():
        inputs = slices((1, 16, 20, 20))
        found = local_affinity(*inputs, 3)
        return found, *torch.autograd.grad(found.square().sum(), inputs)

    expected = run()
    with torch.autocast("cpu", torch.bfloat16):
        found = run()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_bias_for_every_shift(monkeypatch):
    monkeypatch.setattr(affinity, "_TILE", 4)
    query, key, value = slices((2, 5, 17, 11))
    bias = torch.randn(2, 7, 7, generator=torch.Generator().manual_seed(1), requires_grad=True)
    found = local_affinity(query, key, value, 3, bias=bias)
    expected = by_shifted_copies(query, key, value, 3, bias)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    upstream, inputs = torch.randn_like(found), (query, key, value, bias)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        rtol=0,
        atol=1e-4,
    )
    with pytest.raises(ValueError, match="a bias of"):
        local_affinity(query, key, value, 2, bias=bias)


def test_large_products_stay_finite():
    query, key, value = slices((1, 4, 12, 12))
    found = local_affinity(1e4 * query, 1e4 * key, value, 2)
    assert found.isfinite().all()
    assert (found.amin() >= value.amin() - 1e-5) & (found.amax() <= value.amax() + 1e-5)


def test_what_does_not_fit_is_refused():
    query, key, value = slices((1, 4, 12, 12))
    with pytest.raises(ValueError, match="do not belong together"):
        local_affinity(query[:, :3], key, value, 2)
    with pytest.raises(ValueError, match="2 values for 1 slices"):
        local_affinity(query, key, torch.cat([value, value]), 2)
    with pytest.raises(ValueError, match="outside the reference"):
        local_affinity(query, key, value, 2, (5, 0))
