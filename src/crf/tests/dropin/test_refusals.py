"""Where pydensecrf crashes, or reads beyond an array, the drop-in raises ValueError; and what it takes besides."""

import numpy as np
import pytest

from ...pydensecrf import densecrf, eigen, utils

IMAGE = np.zeros((3, 4, 3), np.uint8)
UNARY = np.zeros((2, 12), np.float32)


def crf():
    made = densecrf.DenseCRF2D(4, 3, 2)
    made.setUnaryEnergy(UNARY)
    return made


REFUSED = {
    "no points": lambda: densecrf.DenseCRF(0, 2),
    "negative points": lambda: densecrf.DenseCRF(-3, 2),
    "no labels": lambda: densecrf.DenseCRF2D(4, 3, 0),
    "negative sides": lambda: densecrf.DenseCRF2D(-4, -3, 2),
    "unary of other labels": lambda: crf().setUnaryEnergy(np.zeros((3, 12), np.float32)),
    "unary of other points": lambda: crf().setUnaryEnergy(np.zeros((2, 3, 5), np.float32)),
    "flat unary": lambda: crf().setUnaryEnergy(np.zeros(24, np.float32)),
    "unary with NaN": lambda: crf().setUnaryEnergy(UNARY + np.float32("nan")),
    "complex unary": lambda: crf().setUnaryEnergy(UNARY + 1j),
    "logistic without a product": lambda: densecrf.LogisticUnary(np.zeros((2, 3)), np.zeros((4, 12))),
    "logistic of other points": lambda: crf().setUnary(densecrf.LogisticUnary(np.zeros((2, 3)), np.zeros((3, 11)))),
    "short vector": lambda: crf().addPairwiseGaussian(3, np.ones(1, np.float32)),
    "long vector": lambda: crf().addPairwiseGaussian(3, np.ones(3, np.float32)),
    "small matrix": lambda: crf().addPairwiseGaussian(3, np.ones((1, 1), np.float32)),
    "oblong matrix": lambda: crf().addPairwiseGaussian(3, np.ones((2, 3), np.float32)),
    "cube": lambda: crf().addPairwiseGaussian(3, np.ones((2, 2, 2), np.float32)),
    "infinite weight": lambda: crf().addPairwiseGaussian(3, float("inf")),
    "sigma of 0": lambda: crf().addPairwiseGaussian(0, 3),
    "sigma of NaN": lambda: crf().addPairwiseGaussian((1, float("nan")), 3),
    "colour sigma of 0": lambda: crf().addPairwiseBilateral(3, (1, 0, 1), IMAGE, 3),
    "image of floats": lambda: crf().addPairwiseBilateral(3, 3, IMAGE / 255, 3),
    "image of another size": lambda: crf().addPairwiseBilateral(3, 3, IMAGE.transpose(1, 0, 2), 3),
    "image of two channels": lambda: crf().addPairwiseBilateral(3, 3, IMAGE[..., :2], 3),
    "grey image": lambda: crf().addPairwiseBilateral(3, 3, IMAGE[..., 0], 3),
    "features of other points": lambda: crf().addPairwiseEnergy(np.zeros((2, 11), np.float32), 3),
    "no features": lambda: crf().addPairwiseEnergy(np.zeros((0, 12), np.float32), 3),
    "features with NaN": lambda: crf().addPairwiseEnergy(np.full((2, 12), np.nan, np.float32), 3),
    "infinite features": lambda: crf().addPairwiseEnergy(np.full((2, 12), np.inf, np.float32), 3),
    "huge features": lambda: crf().addPairwiseEnergy(np.full((2, 12), 1e30, np.float32), 3),
    "unknown normalisation": lambda: crf().addPairwiseGaussian(3, 3, normalization=4),
    "unknown kernel": lambda: crf().addPairwiseGaussian(3, 3, kernel=-1),
    "Q of another shape": lambda: crf().klDivergence(eigen.MatrixXf()),
    "a step from nothing": lambda: crf().stepInference(*[eigen.MatrixXf()] * 3),
    "a label beyond": lambda: utils.unary_from_labels(np.array([0, 4]), 3, 0.7),
    "a label far below": lambda: utils.unary_from_labels(np.array([0, -4]), 3, 0.7, zero_unsure=False),
    "labels of floats": lambda: utils.unary_from_labels(np.array([0.0, 1.0]), 3, 0.7),
    "a single label": lambda: utils.unary_from_labels(np.array([0, 1]), 1, 0.7),
    "certain labels": lambda: utils.unary_from_labels(np.array([0, 1]), 2, 1),
    "scale of 0": lambda: utils.unary_from_softmax(np.ones((2, 3)), scale=0),
    "probabilities of no label": lambda: utils.unary_from_softmax(np.ones((0, 3))),
    "too few sigmas": lambda: utils.create_pairwise_gaussian((1,), (3, 4)),
    "too many sigmas": lambda: utils.create_pairwise_gaussian((1, 2, 3), (3, 4)),
    "an axis beyond": lambda: utils.create_pairwise_bilateral((1, 1), 3, IMAGE, 3),
    "too many channel sigmas": lambda: utils.create_pairwise_bilateral((1, 1), (1, 1, 1, 1), IMAGE, 2),
    "channel sigma of 0": lambda: utils.create_pairwise_bilateral((1, 1), 0, IMAGE, 2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_a_sentence(name):
    with pytest.raises(ValueError, match=r".{15}"):
        REFUSED[name]()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: crf().setUnaryEnergy(None),
        lambda: crf().addPairwiseEnergy(None, 3),
        lambda: crf().addPairwiseBilateral(3, 3, None, 3),
        lambda: crf().setUnary(UNARY),
        lambda: crf().klDivergence(None),
        lambda: crf().addPairwiseGaussian(3, 3, normalization="symmetric"),
        lambda: densecrf.DenseCRF(4),
    ],
)
def test_what_is_of_another_kind_is_a_type_error(wrong):
    with pytest.raises(TypeError):
        wrong()


def test_names_defaults_and_numbers_are_those_of_pydensecrf():
    reference = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed")
    import pydensecrf.eigen as reference_eigen
    import pydensecrf.utils as reference_utils

    pairs = [(reference, densecrf), (reference_eigen, eigen), (reference_utils, utils)]
    for theirs, ours in pairs:
        for name in (name for name in dir(theirs) if not name.startswith("_")):
            if name in ("Number", "eigen", "np", "warning"):
                continue
            assert hasattr(ours, name), name
            methods = [method for method in dir(getattr(theirs, name)) if not method.startswith("_")]
            assert not set(methods) - set(dir(getattr(ours, name))), name
    for kind in ("NormalizationType", "KernelType"):
        assert dict(getattr(reference, kind).__members__) == dict(getattr(densecrf, kind).__members__)
    for name in ("unary_from_labels", "unary_from_softmax", "create_pairwise_gaussian", "create_pairwise_bilateral"):
        theirs, ours = (getattr(module, name) for module in (reference_utils, utils))
        names = theirs.__code__.co_varnames[: theirs.__code__.co_argcount]
        assert ours.__code__.co_varnames[: len(names)] == names and ours.__defaults__ == theirs.__defaults__


def test_results_are_arrays_of_numpy():
    made = crf()
    made.addPairwiseGaussian(sxy=1, compat=1)
    q = made.inference(1)
    assert isinstance(q, eigen.MatrixXf) and memoryview(q).shape == (2, 12)
    for one in (np.array(q), np.argmax(q, axis=0), np.asarray(q), q + 1, np.exp(q)):
        assert type(one) is np.ndarray
    assert type(q.sum()) is np.float32


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int64])
def test_other_types_and_layouts_are_converted_and_copied(kind):
    energies = np.arange(24).reshape(12, 2).astype(kind).T
    made, plain = densecrf.DenseCRF2D(4, 3, 2), densecrf.DenseCRF2D(4, 3, 2)
    made.setUnaryEnergy(energies.reshape(2, 3, 4))
    plain.setUnaryEnergy(np.ascontiguousarray(energies, dtype=np.float32))
    wide = np.zeros((3, 4, 6), np.uint8)
    wide[..., ::2] = np.arange(36).reshape(3, 4, 3) * 5
    wide.flags.writeable = False
    made.addPairwiseBilateral(3, 20, wide[..., ::2], 4)
    plain.addPairwiseBilateral(3, 20, wide[..., ::2].copy(), 4)
    energies[:] = 0
    np.testing.assert_array_equal(made.inference(3), plain.inference(3))


def test_labels_of_eight_bits_have_their_unsure_ones():
    found = utils.unary_from_labels(np.array([0, 1, 2], np.uint8), 2, 0.7)
    np.testing.assert_allclose(np.exp(-found), [[0.5, 0.7, 0.3], [0.5, 0.3, 0.7]], rtol=1e-6)


def test_infinite_energies_rule_a_label_out():
    energies = UNARY.copy()
    energies[0, :6] = np.inf
    made = densecrf.DenseCRF2D(4, 3, 2)
    made.setUnaryEnergy(energies)
    made.addPairwiseGaussian(3, 3)
    q = np.array(made.inference(3))
    assert (q[0, :6] == 0).all() and np.isfinite(q).all()
