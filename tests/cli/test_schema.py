"""Tests of `sweeper schema`."""

import json

import jsonschema
import pytest
from ruamel.yaml import YAML

from sweeper.resources import job as find_job
from sweeper.resources import job_names


class TestSchema:
    def test_the_schema_is_valid_and_accepts_every_job(self, sweeper):
        schema = json.loads(sweeper("schema").stdout)
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for name in job_names():
            validator.validate(YAML(typ="safe").load(find_job(name)))

    def test_a_setting_of_several_architectures_has_all_their_descriptions(self):
        from sweeper.cli.schema import job_schema

        family = job_schema()["$defs"]["Family"]["properties"]
        assert "channels of the first stage" in family["width"]["description"]
        assert "units of each hidden layer" in family["width"]["description"]
        assert "default" not in family["width"]
        assert family["patch"]["default"] == 4
        assert len(family["width"]["anyOf"]) == 3, "a value, a list, a range"

    @pytest.mark.parametrize(
        "settings",
        [
            {"seed": "0..9"},
            {"seed": [0, "2..4"], "width": "4..8", "samples": ["10..12", "all"]},
            {"labels": [[0, 1], [2, 3]]},
            {"labels": ["classes", "object_animal", [[0, 1], [2, 3]]]},
            {"freeze": "conv1"},
            {"freeze": ["conv1", 2]},
            {"freeze": [[], ["conv1", 2]]},
            {"init_from": ["a", "b"], "reset": "ends", "objective": "simclr", "temperature": 0.1},
            {"weights": ["a.safetensors", "IMAGENET1K_V1", "pretrained", "none"], "head": "probe"},
            {"input": {"size": 224}, "reset": "head"},
            {"input": [{"size": [8, 16], "mean": 0.5, "std": [1, 2, 3], "interpolation": "bicubic"}, "weights"]},
        ],
    )
    def test_every_form_of_a_value_is_accepted(self, settings):
        from sweeper.cli.schema import job_schema

        job = {"name": "x", "models": {"weak": {"arch": "resnet18k", "steps": 1, **settings}}}
        jsonschema.Draft202012Validator(job_schema()).validate(job)

    @pytest.mark.parametrize("arch", ["my/nets.py:Small", ["resnet18k", "my/nets.py:Small"]])
    def test_settings_of_a_network_or_stitcher_of_ones_own_have_any_name(self, arch):
        from sweeper.cli.schema import job_schema

        job = {
            "name": "x",
            "models": {"m": {"arch": arch, "norm": ["batch", "none"]}},
            "stitch": [{"bottom": "m", "top": "m", "stitcher": {"name": "my/wide.py:CARD", "factor": 2}}],
        }
        jsonschema.Draft202012Validator(job_schema()).validate(job)
        job["stitch"][0]["stitcher"]["name"] = "conv"
        assert not jsonschema.Draft202012Validator(job_schema()).is_valid(job)

    @pytest.mark.parametrize(
        "models",
        [
            {"weak": {"arch": "resnet18k", "widht": 4}},
            {"weak": {"arch": ["resnet18k", "mlp"], "widht": 4}},
            {"weak": {"arch": "resnet18k", "samples": []}},
            {"weak": {"arch": "resnet18k", "label_noise": 2}},
            {"weak": {}},
            {},
        ],
    )
    def test_wrong_values_and_unknown_keys_are_refused(self, models):
        from sweeper.cli.schema import job_schema

        validator = jsonschema.Draft202012Validator(job_schema())
        assert not validator.is_valid({"name": "x", "models": models})


class TestKey:
    @pytest.mark.parametrize(
        ("key", "lines"),
        [
            ("models.samples", ["Number of training images", "whole number, at least 1 or `all`", "default: `all`"]),
            ("stitch.protocol", ["How the stitcher is trained", "`strict`, `paper`", "default: `strict`"]),
            ("name", ["Name of the job", "text", "default: (needed)"]),
            ("models.patch", ["side of a patch", "default: `4`"]),
        ],
    )
    def test_a_key_is_described_with_its_type_and_default(self, sweeper, key, lines):
        result = sweeper("schema", key)
        assert result.returncode == 0
        assert all(line in result.stdout for line in lines), result.stdout

    @pytest.mark.parametrize(
        ("key", "nearest"), [("models.sampels", "models.samples"), ("protocol", "stitch.protocol")]
    )
    def test_an_unknown_key_names_the_nearest(self, sweeper, key, nearest):
        result = sweeper("schema", key)
        assert result.returncode == 2
        assert f"a job has no key '{key}'; did you mean" in result.stderr
        assert nearest in result.stderr

    def test_every_key_has_a_description(self):
        from sweeper.cli.schema import SECTIONS

        fields = {f"{first}.{n}": f for first, (_, s) in SECTIONS.items() for n, f in s.model_fields.items()}
        assert [key for key, field in fields.items() if not (field.description or "").endswith((".", ").", '".'))] == []
