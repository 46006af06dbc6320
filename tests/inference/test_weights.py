import hashlib
import pickle

import pytest
import safetensors.torch
import torch

from facetgrade import networks
from facetgrade.errors import ConfigError, ModelError
from facetgrade.inference import find_model, load_weights

CPU = torch.device("cpu")
SIZES = {"channels": [4, 8], "ranks": 2}


def write_model(
    folder, content=None, *, sha256=None, sizes="channels = [4, 8], ranks = 2"
):
    if content is None:
        network = networks.build("spine-localizer", **SIZES)
        content = safetensors.torch.save(network.state_dict())
    (folder / "tiny.safetensors").write_bytes(content)
    sha256 = sha256 or hashlib.sha256(content).hexdigest()
    (folder / "manifest.toml").write_text(
        f"""[tiny]
file = "tiny.safetensors"
sha256 = "{sha256}"
license = "Apache-2.0"
input = "two channels"
architecture = "spine-localizer"
sizes = {{ {sizes} }}
"""
    )
    return f"{folder}/tiny"


def test_verified_weights_give_a_network_ready_for_inference(tmp_path):
    network = load_weights(write_model(tmp_path), CPU)
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())


def test_loaded_weights_are_those_of_the_file(tmp_path):
    name = write_model(tmp_path)
    network = load_weights(name, CPU)
    stored = safetensors.torch.load_file(find_model(name)[1])
    torch.testing.assert_close(network.state_dict()["head.bias"], stored["head.bias"])


def test_an_altered_file_is_refused(tmp_path):
    name = write_model(tmp_path)
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelError, match=r"SHA-256 is .* the file was altered"):
        load_weights(name, CPU)


@pytest.mark.parametrize("start", [pickle.dumps({}), b"PK\x03\x04rest"])
def test_a_pickle_is_refused_even_when_its_hash_is_listed(tmp_path, start):
    with pytest.raises(ModelError, match="a pickle can run any code"):
        load_weights(write_model(tmp_path, start), CPU)


def test_a_header_whose_length_begins_like_a_pickle_is_read(tmp_path):
    tensors = networks.build("spine-localizer", **SIZES).state_dict()
    made = (
        safetensors.torch.save(tensors, metadata={"note": "x" * length})
        for length in range(256)
    )
    content = next(one for one in made if one[0] == 0x80)

    load_weights(write_model(tmp_path, content), CPU)


def test_a_file_of_another_format_is_refused(tmp_path):
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_weights(write_model(tmp_path, b"nothing known"), CPU)


def test_weights_of_other_sizes_are_refused(tmp_path):
    name = write_model(tmp_path, sizes="channels = [4, 16], ranks = 2")
    with pytest.raises(ModelError, match="not those of spine-localizer"):
        load_weights(name, CPU)


def test_sizes_that_the_architecture_lacks_are_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot build spine-localizer"):
        load_weights(write_model(tmp_path, sizes="depth = 3"), CPU)


def test_an_unknown_model_lists_the_known_ones(tmp_path):
    write_model(tmp_path)
    with pytest.raises(ModelError, match=r"has no model 'large'; it has tiny"):
        find_model(f"{tmp_path}/large")


def test_a_missing_weight_file_is_named(tmp_path):
    name = write_model(tmp_path)
    (tmp_path / "tiny.safetensors").unlink()
    with pytest.raises(ModelError, match=r"tiny\.safetensors: cannot be read"):
        load_weights(name, CPU)


def test_a_weight_file_outside_the_folder_is_refused(tmp_path):
    name = write_model(tmp_path)
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(manifest.read_text().replace('"tiny.s', '"../tiny.s'))
    with pytest.raises(ModelError, match="must lie beside it"):
        load_weights(name, CPU)


def test_a_manifest_without_hash_is_refused(tmp_path):
    name = write_model(tmp_path)
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("sha256", "md5"))
    with pytest.raises(ConfigError, match="key sha256 is missing"):
        find_model(name)
