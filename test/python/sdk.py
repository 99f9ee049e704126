"""The official `openai` package of PyPI as a client. Prints a line of JSON for each test: name, and what went wrong."""

import asyncio
import json
import re
import sys
import traceback

import openai

scene = json.loads(sys.argv[2])
MODEL = "openai/gpt-4o-mini"
HELLO = [{"role": "user", "content": "Hello from AK AI CORE"}]
REQUEST_ID = re.compile(r"^req_[0-9a-f]{32}$")


def options(trouble, headers=None):
    """Constructor arguments for a trouble of the scene."""
    place = scene["troubles"][trouble]
    return {
        "api_key": place["key"] or "none",
        "base_url": place["baseUrl"],
        "default_headers": headers,
        "max_retries": 0,
    }


client = openai.OpenAI(**options("good"))


def answer_in_one_piece():
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    answer = raw.parse()
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    assert "Hello from AK AI CORE" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.cost > 0
    assert float(raw.headers["x-cost-usd"]) == usage.cost
    assert REQUEST_ID.match(answer._request_id)


def streamed_without_usage():
    text, finish = "", None
    for chunk in client.chat.completions.create(model=MODEL, messages=HELLO, stream=True):
        assert chunk.usage is None
        assert len(chunk.choices) == 1
        text += chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or finish
    assert "Hello from AK AI CORE" in text
    assert finish == "stop"


def streamed_with_usage():
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.cost > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


def streamed_through_the_helper():
    with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert "Hello from AK AI CORE" in final.choices[0].message.content


def asynchronous():
    async def both():
        async with openai.AsyncOpenAI(**options("good")) as other:
            whole = await other.chat.completions.create(model=MODEL, messages=HELLO)
            assert "Hello" in whole.choices[0].message.content
            stream = await other.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "Hello from AK AI CORE" in "".join(parts)

    asyncio.run(both())


def several_choices():
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def stop_and_limits():
    stopped = client.chat.completions.create(model=MODEL, messages=HELLO, stop="model")
    assert "model" not in stopped.choices[0].message.content
    short = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=5)
    assert short.choices[0].finish_reason == "length"
    assert short.usage.completion_tokens == 5


def bangla():
    said = "আমার সোনার বাংলা, আমি তোমায় ভালোবাসি ❤️"
    messages = [{"role": "user", "content": said}]
    assert said in client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content
    stream = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    assert said in "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def tools():
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    functions = [
        {"type": "function", "function": {"name": name, "parameters": parameters}}
        for name in ("get_weather", "get_time")
    ]
    messages = [{"role": "user", "content": "The weather in Dhaka?"}]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=functions)
    call = first.choices[0].message.tool_calls[0]
    assert first.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "31 °C"}]
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=functions)
    assert "31 °C" in second.choices[0].message.content


def json_schema():
    from pydantic import BaseModel

    class River(BaseModel):
        name: str
        km: int

    answer = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=River)
    assert isinstance(answer.choices[0].message.parsed, River)


def models():
    listed = list(client.models.list())
    assert len(listed) >= 20
    found = client.models.retrieve(MODEL)
    assert (found.id, found.created, found.owned_by) == (MODEL, 1715644800, "openai")
    assert found.pricing["prompt"] == "0.00000015"
    try:
        client.models.retrieve("openai/nothing")
    except openai.NotFoundError:
        return
    raise AssertionError("a model that does not exist was found")


def refused(failure, headers, stream):
    """Asks until it is refused with the status that is expected."""
    other = openai.OpenAI(**options(failure["trouble"], headers))
    request = {"model": MODEL, "messages": HELLO, "stream": stream, **failure.get("request", {})}
    if failure["trouble"] == "missing":
        request["extra_headers"] = {"Authorization": openai.Omit()}
    for left in reversed(range(failure.get("tries", 1))):
        try:
            other.chat.completions.create(**request)
        except openai.APIStatusError as error:
            if error.status_code == failure["status"] or left == 0:
                return error
        else:
            raise AssertionError("it should have been refused")


def errors(failure):
    name = "APIStatusError" if failure["exception"] == "APIError" else failure["exception"]
    for stream in (False, True):
        error = refused(failure, {}, stream)
        assert type(error) is getattr(openai, name), repr(error)
        assert error.status_code == failure["status"], repr(error)
        assert error.body.startswith(failure["says"]), repr(error.body)
        assert error.code is None
        assert error.response.headers["x-error-code"] == failure["code"]
        assert REQUEST_ID.match(error.request_id)

        error = refused(failure, {"x-error-format": "object"}, stream)
        assert type(error) is getattr(openai, name), repr(error)
        assert error.code == failure["code"], repr(error.code)
        assert error.body["message"].startswith(failure["says"]), repr(error.body)
        assert isinstance(error.type, str)


ANSWERS = [
    answer_in_one_piece,
    streamed_without_usage,
    streamed_with_usage,
    streamed_through_the_helper,
    asynchronous,
    several_choices,
    stop_and_limits,
    bangla,
    tools,
    json_schema,
    models,
]


def cases():
    if sys.argv[1] == "answers":
        return [(function.__name__.replace("_", " "), function) for function in ANSWERS]
    return [
        (" ".join([str(failure["status"]), failure["code"], *failure.get("request", {})]), lambda failure=failure: errors(failure))
        for failure in scene["failures"]
    ]


for name, function in cases():
    try:
        function()
        problem = None
    except Exception:
        problem = traceback.format_exc()
    print(json.dumps({"name": name, "problem": problem}), flush=True)
