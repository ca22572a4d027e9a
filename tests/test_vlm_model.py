"""A vision-language model in a folder: what it is fed, what it answers, and folders that hold none."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from vlm_data_sets import CLEAN, QUESTION, SPOTTED, SYSTEM, line, picture, text, write_lines, write_vlm_data

pytest.importorskip("transformers", reason="needs requirements-vlm.txt")
pytest.importorskip("peft", reason="needs requirements-vlm.txt")

import tiny_vlm
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_vlm import END, TURNS

from errors import DataSetError, ExitCode, MissingDependency, ModelError
from learning.vlm import libraries
from learning.vlm import model as vlm_model
from learning.vlm.conversations import Conversation, Conversations
from learning.vlm.inputs import NOT_LEARNED, check_texts, prompt, prompt_inputs, training_inputs
from learning.vlm.model import load

CHAT = line("a", CLEAN)["messages"][:2]
HEAD = "<|start_header_id|>{}<|end_header_id|>\n\n"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Every test here fails that would reach for the network."""
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_vlm.write_model(tmp_path_factory.mktemp("model") / "base")


@pytest.fixture(scope="module")
def model(folder):
    return load(folder, device="cpu")


@pytest.fixture
def copied(folder, tmp_path):
    """A copy to be spoiled."""
    return shutil.copytree(folder, tmp_path / "copied")


def conversation(answer, question=QUESTION):
    return Conversation("a", None, (CHAT[0], {"role": "user", "content": [{"type": "image"}, *text(question)]}), answer)


def change(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# --- what the model is fed -----------------------------------------------------------------------------------------


def test_the_loss_counts_the_answer_and_its_end_and_nothing_else(model):
    questions = ["", "?" * 40, "Which?", "Which marks are there on this one? " * 3]
    answers = [SPOTTED, "x", CLEAN, "Zwölf µm"]
    items = [conversation(*each) for each in zip(answers, questions, strict=True)]
    pictures = [picture(0, spotted=True)] * 4
    for rows in ([0], [1], [0, 1], [1, 2, 3], [3, 1, 0, 2]):
        chosen = [items[row] for row in rows]
        inputs, labels = training_inputs(model.processor, pictures[: len(rows)], chosen, model.ends)
        assert labels.shape == inputs["input_ids"].shape == inputs["attention_mask"].shape
        for item, tokens, mask, row in zip(chosen, inputs["input_ids"], inputs["attention_mask"], labels, strict=True):
            learned = row != NOT_LEARNED
            assert int(learned.sum()) == len(item.answer.encode()) + 1
            assert model.processor.tokenizer.decode(row[learned]) == item.answer + END
            assert torch.equal(row[learned], tokens[learned]) and bool(mask[learned].all())
            # they are the last of what is no padding, and the question stands right before them
            assert int(learned.nonzero()[-1]) == int(mask.sum()) - 1
            told = model.processor.tokenizer.decode(tokens[: int(learned.nonzero()[0])])
            assert told == prompt(model.processor, item.messages)


def test_the_prompt_of_an_answer_is_that_of_the_training(model):
    one = prompt_inputs(model.processor, [picture(0, spotted=True)], [CHAT])
    item = [conversation(CLEAN)]
    whole, labels = training_inputs(model.processor, [picture(0, spotted=True)], item, model.ends)
    told = int((labels[0] == NOT_LEARNED).sum())
    assert torch.equal(one["input_ids"][0], whole["input_ids"][0, :told])
    assert torch.equal(one["pixel_values"], whole["pixel_values"])


def test_a_template_without_a_place_for_the_system_has_it_in_the_question(model):
    assert prompt(model.processor, CHAT) == (
        f"<|begin_of_text|>{HEAD.format('user')}<|image|>{SYSTEM}\n\n{QUESTION}{END}{HEAD.format('assistant')}"
    )
    assert prompt(tiny_vlm.processor(TURNS), CHAT) == (
        f"<|begin_of_text|>{HEAD.format('system')}{SYSTEM}{END}"
        f"{HEAD.format('user')}<|image|>{QUESTION}{END}{HEAD.format('assistant')}"
    )


def test_a_conversation_may_go_on(model):
    more = [*CHAT, {"role": "assistant", "content": text("{")}, {"role": "user", "content": text("Again, please.")}]
    asked = prompt(model.processor, more)
    assert asked.endswith(f"{{{END}{HEAD.format('user')}Again, please.{END}{HEAD.format('assistant')}")
    assert asked.count(SYSTEM) == 1


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ bos_token }}", "takes no such conversation"),
        ("{{ raise_exception('never') }}", "takes no such conversation"),
        ("{{ messages[7].role }}", "takes no such conversation"),
        (TURNS.replace(END, ""), "does not end its answers"),
        (TURNS.replace("{{ bos_token }}", "{{ bos_token }}{{ messages | length }}"), "elsewhere than it asks"),
    ],
)
def test_a_chat_template_that_cannot_be_used_is_named(model, template, words):
    with pytest.raises(ModelError, match=words):
        training_inputs(
            tiny_vlm.processor(template), [picture(0, spotted=False)], [conversation(CLEAN)], frozenset(model.ends)
        )


def test_what_a_template_writes_after_the_end_is_not_learned(model):
    processor = tiny_vlm.processor(TURNS.replace(END, f"{END}\n"))
    _, labels = training_inputs(processor, [picture(0, spotted=False)], [conversation(CLEAN)], model.ends)
    assert processor.tokenizer.decode(labels[labels != NOT_LEARNED]) == CLEAN + END


def test_signs_of_the_model_in_a_text_are_named_and_long_answers_counted(model, tmp_path):
    data = write_vlm_data(tmp_path / "data", train=4)
    assert check_texts(model.processor, Conversations(data, "train"), len(SPOTTED)) == 2
    write_lines(data, "train", [line("train0", CLEAN), line("train1", f"{{}}{END}")])
    with pytest.raises(DataSetError, match=r"train\.jsonl, line 2: <\|eot_id\|> in a text"):
        check_texts(model.processor, Conversations(data, "train"), 9)


# --- answers -------------------------------------------------------------------------------------------------------


def ask(model, pictures, questions, *, batch=1, max_new_tokens=12):
    chats = [conversation("", question).messages for question in questions]
    return model.generate(pictures, chats, batch=batch, max_new_tokens=max_new_tokens)


def test_answers_do_not_depend_on_the_batch_and_are_always_the_same(model):
    pictures = [np.random.default_rng(n).integers(0, 256, (40 + 30 * n, 90, 3), dtype=np.uint8) for n in range(5)]
    questions = ["?" * (1 + 9 * n) for n in range(5)]
    single = ask(model, pictures, questions)
    assert single == ask(model, pictures, questions) == ask(model, pictures, questions, batch=2)
    assert single == ask(model, pictures, questions, batch=5)
    assert len(set(single)) > 1
    assert ask(model, [], []) == []


def test_answers_are_bounded_and_hold_no_signs(model):
    short, long = (ask(model, [picture(1, spotted=True)], ["?"], max_new_tokens=n)[0] for n in (3, 20))
    assert long.startswith(short.rstrip("\ufffd")) and len(short.encode()) <= 9 and "<|" not in long


def test_the_model_sees_the_picture(model):
    inputs = [
        prompt_inputs(model.processor, [grey], [CHAT])
        for grey in (np.zeros((30, 50), np.uint8), picture(1, spotted=True))
    ]
    with torch.inference_mode():
        dark, other = (model.network(**each).logits[0, -1] for each in inputs)
    assert float((dark - other).abs().max()) > 1e-3


def test_grey_and_colour_are_shown_alike(model):
    grey = picture(1, spotted=True)
    inputs = prompt_inputs(model.processor, [grey, np.repeat(grey[..., None], 3, axis=2)], [CHAT, CHAT])
    assert torch.equal(inputs["pixel_values"][0], inputs["pixel_values"][1])


def test_too_little_memory_is_one_sentence(model, monkeypatch):
    def full(**inputs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.network, "generate", full)
    with pytest.raises(MissingDependency, match=r"memory does not suffice.*vlm\.batch"):
        ask(model, [picture(1, spotted=True)], ["?"])


# --- folders -------------------------------------------------------------------------------------------------------


def test_it_is_loaded_as_it_is_published(folder, tmp_path):
    """Its image processor is named as the one that needs torchvision, and its weights are of 16 bits."""
    copied = tmp_path / "published"
    shutil.copytree(folder, copied)
    network = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16)
    network.save_pretrained(copied)
    settings = json.loads((copied / "processor_config.json").read_text())
    (copied / "processor_config.json").unlink()
    image = settings["image_processor"] | {"image_processor_type": "MllamaImageProcessor"}
    (copied / "preprocessor_config.json").write_text(json.dumps(image | {"processor_class": "MllamaProcessor"}))
    template = (copied / "chat_template.jinja").read_text()
    (copied / "chat_template.jinja").unlink()
    (copied / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    model = load(copied, device="cpu")
    assert model.placement.dtype == torch.bfloat16 and not model.placement.is_4_bit
    assert type(model.processor).__name__ == "MllamaProcessor"
    assert len(ask(model, [picture(0, spotted=True)], ["?"])) == 1


def text_only(folder):
    shutil.rmtree(folder)
    transformers.LlamaConfig(num_hidden_layers=1).save_pretrained(folder)


def without_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if name.endswith("lm_head.weight"))]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def other_size(folder):
    weights = load_file(folder / "model.safetensors")
    weights[next(name for name in weights if name.endswith("lm_head.weight"))] = torch.zeros(3, 5)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def with_a_program(folder):
    (folder / "own.py").write_text("raise SystemExit('a program of the model was run')")
    names = {"AutoConfig": "own.Config", "AutoModelForImageTextToText": "own.Model"}
    change(folder, "config.json", auto_map=names, model_type="my_own")


SPOILED = [
    (shutil.rmtree, "There is no folder"),
    (lambda folder: (folder / "config.json").unlink(), "it has no config.json"),
    (lambda folder: (folder / "config.json").write_text("{"), "cannot be loaded"),
    (lambda folder: change(folder, "config.json", model_type="mllamma"), "cannot be loaded"),
    (text_only, "a model of the kind llama, which looks at no pictures"),
    (without_a_weight, "lacks 1 of the model's weights, such as lm_head.weight"),
    (other_size, "cannot be loaded"),
    (cut, "cannot be loaded"),
    (pickled, "cannot be loaded"),
    (lambda folder: (folder / "model.safetensors").unlink(), "cannot be loaded"),
    (lambda folder: (folder / "tokenizer.json").write_text("[]"), "cannot be loaded"),
    (lambda folder: (folder / "processor_config.json").unlink(), "cannot be loaded"),
    (lambda folder: (folder / "chat_template.jinja").unlink(), "has no chat template"),
    (with_a_program, "cannot be loaded"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILED)
def test_a_folder_that_holds_no_model_is_named(copied, capfd, spoil, words):
    spoil(copied)
    with pytest.raises(ModelError, match=words) as caught:
        load(copied, device="cpu")
    assert str(copied) in str(caught.value) and "\n" not in str(caught.value) and caught.value.remedy
    assert capfd.readouterr() == ("", "")


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(libraries, "LIBRARIES", ("torch", "no_such_library"))
    with pytest.raises(MissingDependency, match=r"needs no_such_library.*requirements-vlm\.txt") as caught:
        libraries.check_libraries()
    assert caught.value.exit_code == ExitCode.MISSING_DEPENDENCY


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(folder):
    with pytest.raises(MissingDependency, match="finds no GPU"):
        load(folder, device="cuda")
    assert load(folder).placement.device.type == "cpu"


def test_four_bits_need_their_library(folder, monkeypatch):
    monkeypatch.setattr(vlm_model, "has_bitsandbytes", lambda: False)
    with pytest.raises(MissingDependency, match="needs bitsandbytes"):
        load(folder, device="cpu", bits="4")


def test_with_four_bits_what_sees_stays_whole(folder):
    pytest.importorskip("bitsandbytes")
    model = load(folder, device="cpu", bits="4")
    small = {name for name, module in model.network.named_modules() if type(module).__name__ == "Linear4bit"}
    assert small and all("language_model" in name for name in small) and model.placement.is_4_bit
    assert not load(folder, device="cpu").placement.is_4_bit  # only with a GPU unless asked for
    assert len(ask(model, [picture(0, spotted=True)], ["?"])) == 1
