"""Judges discovery messages by Home Assistant's own code, read out of its wheel: judge.py WHEEL < {"messages", "states"}.

Its schemas, its abbreviations and its templates are what runs; what they never ask for (registries, the network, storage) is
stood in for, and its Python 3.13 is brought to the grammar of Debian's Python: type parameters and `type` statements, which
say nothing at run time. Answers with a list of {"entities": {id: {"platform", "states": [...], "attributes", "available"}}} or {"refused": why}.
"""
import __future__
import asyncio, builtins, importlib.abc, importlib.machinery, json, logging, re, sys, types, typing, warnings, zipfile

WHEEL = zipfile.ZipFile(sys.argv[1])
NAMES = set(WHEEL.namelist())
# Their contents are no part of what a discovery message is judged by.
OURS_EMPTY = {'homeassistant.components', 'homeassistant.components.mqtt'}
ASIDE = {'homeassistant.' + name for name in (
    'auth bootstrap config_entries loader requirements setup components.diagnostics components.http components.recorder '
    'helpers.aiohttp_client helpers.area_registry helpers.debounce helpers.device_registry helpers.discovery_flow '
    'helpers.entity_platform helpers.entity_registry helpers.floor_registry helpers.http helpers.issue_registry '
    'helpers.label_registry helpers.location helpers.network helpers.service helpers.state helpers.storage '
    'helpers.translation helpers.trigger').split()}
OUTSIDE = set(
    'PIL OpenSSL aiohttp aiohttp_cors aiozoneinfo annotatedyaml astral async_interrupt atomicwrites attr awesomeversion '
    'bcrypt certifi ciso8601 cronsim cryptography dateutil fnv_hash_fast httpx ifaddr jwt lru multidict packaging paho '
    'propcache psutil_home_assistant requests slugify sqlalchemy typing_extensions ulid_transform voluptuous_openapi '
    'voluptuous_serialize webrtc_models yarl zeroconf'.split())


class AnythingType(type):
    def __getattr__(cls, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return Anything

    def __or__(cls, other):
        return Anything

    def __ror__(cls, other):
        return Anything

    def __iter__(cls):
        return iter(())


class Anything(metaclass=AnythingType):
    def __init__(self, *args, **named):
        pass

    def __init_subclass__(cls, **named):
        pass

    def __class_getitem__(cls, key):
        return cls

    def __call__(self, *args, **named):
        return args[0] if len(args) == 1 and not named and callable(args[0]) else Anything()

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return Anything()

    def __getitem__(self, key):
        return Anything()

    def __iter__(self):
        return iter(())

    def __or__(self, other):
        return Anything()

    def __ror__(self, other):
        return Anything()

    def __mro_entries__(self, bases):
        return (Anything,) if not any(base is Anything for base in bases) else ()


class StandIn(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name == '__all__':
            return []
        if name.startswith('__'):
            raise AttributeError(name)
        return Exception if name.endswith(('Error', 'Exception')) else Anything


class Subscribed:
    def __class_getitem__(cls, key):
        return cls


builtins._Subscribed = Subscribed
for name in ('override', 'TypeIs', 'ReadOnly'):
    if not hasattr(typing, name):
        setattr(typing, name, lambda it, *args, **named: it)
if not hasattr(warnings, 'deprecated'):
    warnings.deprecated = lambda *args, **named: lambda it: it

PARAMETERS = r'\[(?:[^\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])*\]'


def bases(match):
    plain = re.sub(PARAMETERS, '', match[2]).rstrip().rstrip(',')
    closed = '=' in match[2] or 'NamedTuple' in match[2] or 'TypedDict' in match[2]
    return f"{match[1]}({plain}{'' if closed else ', _Subscribed'})"


def for_this_python(text):
    text = re.sub(r'^(\s*(?:async )?def \w+)' + PARAMETERS + r'\(', r'\1(', text, flags=re.M)
    text = re.sub(r'^(\s*class \w+)' + PARAMETERS + ':', r'\1(_Subscribed):', text, flags=re.M)
    text = re.sub(r'^(\s*class \w+)' + PARAMETERS + r'\(((?:[^()\[\]]|' + PARAMETERS + r')*)\)', bases, text, flags=re.M)
    text = re.sub(r'^(\s*)type (\w+)(?:' + PARAMETERS + ')? = ', r'\1\2 = lambda: ', text, flags=re.M)
    return re.sub(r'= TypeVar\(\s*("\w+")(?:[^()]|\([^()]*\))*\)', r'= TypeVar(\1)', text)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Home Assistant out of its wheel, and stand-ins where one is named."""

    def find_spec(self, name, path, target=None):
        top = name.split('.')[0]
        if name in ASIDE or top in OUTSIDE:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        if top != 'homeassistant':
            return None
        place = name.replace('.', '/')
        if place + '/__init__.py' in NAMES:
            return importlib.machinery.ModuleSpec(name, self, origin=place + '/__init__.py', is_package=True)
        return importlib.machinery.ModuleSpec(name, self, origin=place + '.py') if place + '.py' in NAMES else None

    def create_module(self, spec):
        return StandIn(spec.name) if spec.origin is None else None

    def exec_module(self, module):
        origin = module.__spec__.origin
        if origin is None or module.__name__ in OURS_EMPTY:
            return
        module.__file__ = origin
        text = for_this_python(WHEEL.read(origin).decode())
        exec(compile(text, origin, 'exec', flags=__future__.annotations.compiler_flag, dont_inherit=True), module.__dict__)


sys.meta_path.insert(0, Finder())
orjson = StandIn('orjson')
orjson.loads, orjson.JSONDecodeError = json.loads, json.JSONDecodeError
for name in ('NON_STR_KEYS', 'PASSTHROUGH_DATACLASS', 'SORT_KEYS', 'INDENT_2', 'APPEND_NEWLINE'):
    setattr(orjson, 'OPT_' + name, 0)
sys.modules['orjson'] = orjson

from homeassistant.components.mqtt import binary_sensor, discovery, sensor
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES
from homeassistant.helpers import config_validation


class House:
    data = {}
    loop_thread_id = None


config_validation._hass.hass = House()
PLATFORMS = {'sensor': sensor, 'binary_sensor': binary_sensor}


class Heard(logging.Handler):
    said = []

    def emit(self, record):
        self.said.append(record.getMessage())


logging.getLogger().addHandler(Heard())
logging.getLogger().setLevel(logging.WARNING)


def rendered(template, states):
    read = template.async_render_with_possible_json_value
    return [str(read(state, 'no value', variables={})) for state in states]


def judge(message, states):
    device = discovery._parse_device_payload(None, message, 'x', None)
    if not device:
        return {'refused': ' '.join(Heard.said)}
    entities, ids = {}, set()
    for name, component in device['components'].items():
        component = dict(component)
        platform = component.pop('platform')
        if platform not in PLATFORMS:
            return {'refused': f'{name}: a platform that commands: {platform}'}
        discovery._merge_common_device_options(component, device)
        # Of a message it drops keys that it does not know; a person's own YAML must have none.
        settings = PLATFORMS[platform].PLATFORM_SCHEMA_MODERN(component)
        allowed = DEVICE_CLASS_STATE_CLASSES.get(settings.get('device_class'))
        if 'state_class' in settings and allowed is not None and settings['state_class'] not in allowed:
            return {'refused': f'{name}: no such state class for its device class'}
        if settings['unique_id'] in ids:
            return {'refused': f'{name}: the unique id of another'}
        ids.add(settings['unique_id'])
        if 'availability' not in settings:
            return {'refused': f'{name}: no availability'}
        entity = {'platform': platform, 'states': rendered(settings['value_template'], states)}
        if 'json_attributes_template' in settings:
            entity['attributes'] = rendered(settings['json_attributes_template'], states)
        own = [one for one in settings['availability'] if one['topic'] == settings['state_topic']]
        if own:
            entity['available'] = rendered(own[0]['value_template'], states)
            if settings['availability_mode'] != 'all':
                return {'refused': f'{name}: available whatever its state says'}
        entities[name] = entity
    return {'entities': entities}


async def main():
    asked = json.load(sys.stdin)
    answers = []
    for message in asked['messages']:
        Heard.said.clear()
        try:
            answers.append(judge(message, asked['states']))
        except Exception as error:
            answers.append({'refused': str(error)})
    print(json.dumps(answers))


asyncio.run(main())
