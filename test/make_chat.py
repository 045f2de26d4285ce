#!/usr/bin/env python3
"""Records what jinja2, with transformers' settings, makes of small templates: test/data/chat.json.

    make_chat.py >test/data/chat.json

Needs transformers and jinja2. The file has two parts. "expressions": templates with variables, and the text
or the kind of error. "models": for each supported architecture a template in its manner, written for this
test from the published format, with ten conversations or more, and the text or the error's message.
"""

import datetime
import json
import re

from transformers.utils import chat_template_utils

import chat_models

NOW = 1700000000  # what SOURCE_DATE_EPOCH is in the tests


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)


chat_template_utils.datetime = Clock

VARIABLES = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Hello, wörld! "},
        {"role": "assistant", "content": "Hi\nthere"},
        {"role": "user", "content": ""},
    ],
    "tools": None,
    "s": "The quick brown fox",
    "t": "  a, b,,c  ",
    "u": "Ünï 世界 🌍",
    "quotes": "it's \"so\"\\ \n\t\x00\x7f\u00a0\u200b",
    "html": "<a href='x'>&\"</a>",
    "n": 7,
    "z": 0,
    "f": 2.5,
    "e": "",
    "no": None,
    "yes": True,
    "l": [3, 1, 2],
    "d": {"b": 1, "a": [1, 2.0, None, True, "x"], "items": "key", "C": {"x": "y"}},
    "people": [
        {"name": "Bob", "age": 30, "job": {"title": "cook"}},
        {"name": "alice", "age": 25},
        {"name": "Carol", "age": 30, "job": {"title": "pilot"}},
    ],
}

# Printed as {{ ... }}, one after another.
EXPRESSIONS = r"""
1 + 2 * 3 ;; 7 // 2 ;; -7 // 2 ;; 7 % 3 ;; -7 % 3 ;; 7 % -3 ;; 2 ** 10 ;; 7 / 2 ;; 6 / 2 ;; 1 - -1 ;; -n ;; +n ;; - f ;; 2 * 1.5
1.0 ;; 0.1 + 0.2 ;; 1e16 ;; 1e15 ;; 1.5e-5 ;; 0.0001 ;; 1e22 ;; 123456789.125 ;; -0.0 ;; 1e300 * 10 ;; f ;; 100000.0 ;; 1e-7 ;; 12345678901234567.0
3 > 2 > 1 ;; 1 < 2 == true ;; 'a' < 'b' ;; [1, 2] < [1, 3] ;; (1, 2) == (1, 2) ;; [1] == (1,) ;; 1 == 1.0 ;; true == 1 ;; none == none ;; nope == nope ;; nope == none ;; 'a' != 'b' ;; {'a': 1} == {'a': 1.0} ;; 2 <= 2 ;; 3 >= 4
'a' ~ 1 ~ none ~ true ~ nope ~ 1.5 ;; 'a' + 'b' ;; [1] + [2, 3] ;; (1,) + (2,) ;; 'ab' * 3 ;; 3 * 'ab' ;; [0] * 2 ;; 'a' 'b' "c"
'quick' in s ;; 'x' in s ;; '' in s ;; 1 in l ;; 9 not in l ;; 'b' in d ;; 'z' not in d ;; 1 in nope ;; 'k' in ('k', 'j')
not z ;; not n ;; n and e ;; n or e ;; z or 'x' ;; no or nope or 'end' ;; n and s ;; not not n ;; 1 if n else 2 ;; 1 if z else 2 ;; 1 if z ;; ('a' if n > 5 else 'b') ~ 'c' ;; 1 if z else 2 if z else 3
l ;; d ;; (1,) ;; () ;; [] ;; {} ;; (1, 'a', none) ;; ['a', "it's", 'say "x"', 'both \' "'] ;; {'k': nope} ;; [nope] ;; quotes ;; [quotes] ;; [u] ;; [true, false, none] ;; {1: 'a', none: 2, 'x': {'y': []}}
s[0] ;; s[-1] ;; s[4:9] ;; s[::-1] ;; s[::2] ;; s[-3:] ;; s[:-3] ;; u[0] ;; u[4:6] ;; u[::-1] ;; l[0] ;; l[-1] ;; l[9] ;; l[1:] ;; l[::-1] ;; l[:1] ;; l[5:] ;; l[2:0:-1] ;; (1, 2, 3)[1:] ;; s[100:] ;; s[3:1] ;; l[-100:2] ;; l[none:2]
d.b ;; d['b'] ;; d.nope ;; d['nope'] ;; d.a[1] ;; d.C.x ;; d['C']['x'] ;; d['items'] ;; messages[0].role ;; messages[-1]['content'] ;; messages[1:][0].content ;; people[0].job.title ;; people.0.name ;; people[1].job.title is defined ;; d.items is callable
d.items() | list ;; d.keys() | list
d.items() | length
loop is defined ;; nope is defined ;; n is defined ;; no is defined ;; d.b is defined ;; d.q is undefined ;; no is none ;; nope is none ;; n is not none
s is string ;; n is string ;; n is number ;; f is number ;; yes is number ;; n is integer ;; yes is integer ;; f is integer ;; f is float ;; yes is boolean ;; n is boolean ;; yes is true ;; n is true ;; no is false
d is mapping ;; l is mapping ;; l is sequence ;; s is sequence ;; d is sequence ;; n is sequence ;; nope is sequence ;; l is iterable ;; n is iterable ;; s is iterable ;; nope is iterable ;; d is iterable ;; (1, 2) is sequence ;; range(3) is sequence ;; d.items() is sequence ;; d.keys() is iterable ;; l|map('string') is sequence
n is odd ;; n is even ;; 8 is even ;; 9 is divisibleby 3 ;; 9 is divisibleby(2) ;; n is eq 7 ;; n is equalto(7) ;; n is ne 7 ;; n is lt 8 ;; n is le(7) ;; n is gt 8 ;; n is ge 7 ;; n is in [7, 8] ;; 'a' is in 'abc' ;; n is greaterthan 3 ;; n is lessthan 3 ;; n is not equalto 3
n is defined and n > 3 ;; s is string and s is not none ;; (s is string) == true ;; not s is string ;; not nope is defined or false
s | upper ;; s | lower ;; s | title ;; s | capitalize ;; s | length ;; u | length ;; u | lower ;; 'wORLD' | capitalize ;; "it's a (new) day-break" | title ;; s | reverse ;; s | first ;; s | last ;; 'x' | list ;; u | list
t | trim ;; t | trim | length ;; 'xxaxx' | trim('x') ;; ' \u00a0\u2003a\x1c ' | trim ;; 'xyaxy' | trim('yx')
s | replace('quick', 'slow') ;; 'aaa' | replace('a', 'b', 2) ;; 5 | replace('5', 6) ;; 'aXbX' | replace('X', '')
l | length ;; d | length ;; nope | length ;; messages | length ;; l | count
nope | default('x') ;; e | default('x') ;; e | default('x', true) ;; no | default('x') ;; no | default('x', true) ;; nope | d('y') ;; nope | default ;; z | default(3, boolean=true) ;; n | default('q')
l | join ;; l | join(', ') ;; ['a', 1, none, 2.0] | join('-') ;; people | join(',', attribute='name') ;; people | map(attribute='name') | join('/') ;; 'abc' | join('.') ;; d | join('+') ;; nope | join('x')
people | map(attribute='job.title') | list ;; people | map(attribute='job', default='none') | list ;; people | map(attribute='job.title', default={}) | list ;; people | map(attribute='age') | sum ;; l | map('string') | join('') ;; ['a', 'b'] | map('upper') | list ;; l | sum ;; l | sum(start=10) ;; people | sum(attribute='age') ;; ['ab', 'cd'] | map('replace', 'a', 'x') | list ;; [[1, 2], [3]] | map('first') | list ;; [[1, 2], [3]] | map(attribute=0) | list
messages | selectattr('role', 'equalto', 'user') | list | length ;; messages | selectattr('role', 'equalto', 'tool') | list ;; messages | rejectattr('role', 'eq', 'user') | map(attribute='role') | list ;; people | selectattr('job') | map(attribute='name') | list ;; people | selectattr('job', 'defined') | list | length ;; messages | selectattr('role', 'in', ['user', 'system']) | list | length
[0, 1, 2, 3] | select | list ;; [0, 1, 2, 3] | select('odd') | list ;; [0, 1, 2, 3] | reject('odd') | list ;; [1, none] | reject('none') | list ;; ['a', 1] | select('string') | list ;; [1, 5] | select('gt', 3) | list ;; none | select | list ;; nope | select | list ;; [nope, 1] | select('defined') | list
l | sort ;; l | sort(reverse=true) ;; ['b', 'A', 'c'] | sort ;; ['b', 'A', 'c'] | sort(case_sensitive=true) ;; people | sort(attribute='name') | map(attribute='name') | list ;; people | sort(attribute='age') | map(attribute='name') | list ;; people | sort(attribute='age', reverse=true) | map(attribute='name') | list ;; d | sort ;; 'cab' | sort
[1, 2, 1, 'a', 'A', 1.0] | unique | list ;; ['b', 'B', 'a'] | unique(case_sensitive=true) | list ;; people | unique(attribute='age') | map(attribute='name') | list ;; l | min ;; l | max ;; ['b', 'A'] | min ;; [] | max ;; people | max(attribute='age') ;; people | min(attribute='age')
d | items | list ;; d | dictsort ;; {'b': 1, 'A': 2} | dictsort ;; {'b': 1, 'A': 2} | dictsort(true) ;; {'b': 1, 'A': 2} | dictsort(by='value', reverse=true) ;; nope | items | list ;; {'x': 1} | items | first
l | first ;; l | last ;; [] | first ;; l | reverse | list ;; d | first ;; nope | first ;; (1, 2) | last ;; d | list ;; range(5) | list ;; range(2, 5) | list ;; range(5, 0, -2) | list ;; range(3)[1] ;; range(4) | length ;; range(0) | list
n | string ;; f | string ;; no | string ;; l | string ;; nope | string ;; yes | string ;; '5' | int ;; ' 12 ' | int ;; '5.7' | int ;; 'x' | int ;; 'x' | int(-1) ;; 3.9 | int ;; -3.9 | int ;; none | int ;; yes | int ;; '2.5' | float ;; 'x' | float ;; n | float ;; 'x' | float(1) ;; -5 | abs ;; -2.5 | abs
'a\nb\n\nc' | indent ;; 'a\nb' | indent(2, true) ;; 'a\n\nb' | indent(1, blank=true) ;; 'a\nb\n' | indent(2) ;; 'a\nb' | indent('>>') ;; '' | indent(3) ;; 'a' | indent(width=3, first=true)
d | tojson ;; l | tojson ;; s | tojson ;; u | tojson ;; quotes | tojson ;; html | tojson ;; none | tojson ;; true | tojson ;; 1.0 | tojson ;; 1e20 | tojson ;; {} | tojson ;; [] | tojson ;; {'a': 1, 'b': [1, {'c': none}]} | tojson(indent=2) ;; [] | tojson(indent=2) ;; {'a': {}} | tojson(indent=4) ;; u | tojson(ensure_ascii=true) ;; {'b': 1, 'a': 2} | tojson(sort_keys=true) ;; {'b': 1, 'a': [1, 2]} | tojson(separators=(',', ':')) ;; (1, 2) | tojson ;; {1: 2, none: 3, true: 4, 1.5: 6} | tojson ;; {'a': 1} | tojson(indent=0) ;; {'a': [1, 2]} | tojson(indent=1, separators=(',', ' = '))
s.split() ;; t.split(',') ;; t.split() ;; 'a b c'.split(' ', 1) ;; 'a  b  c '.split(none, 1) ;; ''.split() ;; ''.split(',') ;; 'a</think>b</think>c'.split('</think>')[-1] ;; 'aXbXc'.split('X', 1)[1] ;; 'x'.split('y') ;; ' a b '.split(none, 0) ;; 'a\u2003b'.split()
t.strip() ;; t.strip(' a') ;; t.lstrip() ;; t.rstrip() ;; 'xxabxx'.lstrip('x') ;; '\n\nabc\n'.strip('\n') ;; '\n\nabc\n'.rstrip('\n') ;; s.startswith('The') ;; s.startswith('quick') ;; s.endswith('fox') ;; s.startswith(('A', 'The')) ;; s.endswith(('a', 'b')) ;; 'ünü'.strip('ü')
s.upper() ;; s.lower() ;; s.title() ;; s.capitalize() ;; 'hello wORLD'.title() ;; "they're bill's".title() ;; 'éA'.lower() ;; '世a界'.upper()
s.replace('o', '0') ;; s.replace('o', '0', 1) ;; s.find('quick') ;; s.find('zzz') ;; u.find('界') ;; s.rfind('o') ;; s.count('o') ;; s.index('fox') ;; ', '.join(['a', 'b']) ;; ''.join([]) ;; ','.join(d) ;; 'abc'.removeprefix('a') ;; 'abc'.removesuffix('x') ;; 'a\nb\r\nc\n'.splitlines() ;; 'a\x0bb\u2028c'.splitlines()
'{} and {}'.format(1, 'x') ;; '{0}{1}{0}'.format('a', 'b') ;; '{{}}{}'.format(none) ;; '{k}'.format(k=5) ;; '<{}>'.format(s)
d.get('b') ;; d.get('q') ;; d.get('q', 5) ;; d.get('b', 5) ;; d.keys() | list ;; d.values() | list ;; (d.items() | list)[0] ;; d.copy() == d ;; [1, 1, 2].count(1) ;; (1, 1).count(1)
dict(a=1, b='x') ;; dict({'a': 1}, b=2) ;; dict() ;; namespace(a=1).a ;; namespace(a=1).b ;; namespace({'q': 2}).q
(1, 2), 3 ;; 1, 2 ;; (1) ;; [1, 2,] ;; {'a': 1,} ;; ((1, 2), (3,))
"\x41\u00e9\U0001f30d\101\n\t\\\'\"\q\a" ;; 'a\
b' ;; "tab\there" ;; '\/'
html | safe ;; (html | safe) + '<' ;; '<' + (html | safe) ;; (html | safe) ~ '<' ;; (html | safe | upper) + "'" ;; ('x' | safe) == 'x' ;; (html | tojson | safe)
strftime_now('%d %b %Y') ;; strftime_now('%Y-%m-%d %H:%M:%S') ;; strftime_now('%A, %B %-d, %y %p %j %%') ;; strftime_now('')
l | map('string') | first ;; (l | map('string') | list)[0] ;; true if l | select('gt', 99) else false ;; [] and 1 ;; {} or 2 ;; '' or 'e' ;; 0.0 or 'r' ;; (l | select('gt', 99) | list) or 'empty'
1 == '1' ;; none in [none] ;; [1, [2, [3]]] == [1, [2, [3]]] ;; 'ab' == 'ab' ;; (1, 2) < (1, 3) ;; [] < [1] ;; 'Z' < 'a' ;; 'é' > 'z' ;; true + true ;; true and 1 ;; false or 0 ;; -true ;; 5 > true
"""

# Those that jinja2 refuses.
REFUSED = r"""
nope.x ;; nope['x'] ;; nope() ;; nope + 1 ;; 1 + 'a' ;; 'a' + 1 ;; 1 / 0 ;; 1 // 0 ;; 1 % 0 ;; none | length ;; n | length ;; 1 in 5 ;; 1 in 'abc' ;; 'a' < 1 ;; none < 1 ;; {} < {} ;; [] + () ;; -'a' ;; n() ;; 'a'.nope() ;; d.nope() ;; l.append(4) ;; d.pop('b') ;; d.update({}) ;; l | join(1, 2, 3, 4) ;; s.split('') ;; none | items | list ;; range(1000000) ;; range(1, 2, 0) ;; raise_exception('No!') ;; nope | tojson ;; [nope] | tojson ;; n | first ;; none | join ;; 'abc'.index('z') ;; people | map(attribute='job') | map(attribute='title') | list ;; l | map('string') | length ;; n | dictsort ;; s.startswith(1) ;; ', '.join([1]) ;; '{}'.format() ;; namespace.x.y ;; range() ;; none.x.y ;; d.nope.x ;; messages[9].role ;; [1, 'a'] | sort ;; {[]: 1} ;; nope | sum + 'a' ;; (1, 2) + [3]
1 + ;; (1 ;; [1 ;; {1 ;; {'a'} ;; 1 2 ;; a. ;; a[ ;; a..b ;; | ;; x is ;; x ;; | 'a ;; "a ;; not ;; if ;; 1 if ;; ~ ;; a ! b ;; @ ;; $x ;; a b ;; x is not ;; x is a is b ;; f(a=1, 2) ;; f(a b) ;; [1 2] ;; {'a': } ;; )
"""

# Whole templates.
STATEMENTS = [
    "{% if n %}a{% endif %}", "{% if z %}a{% else %}b{% endif %}", "{% if z %}a{% elif n %}b{% else %}c{% endif %}",
    "{% if z %}a{% elif no %}b{% elif e %}c{% elif yes %}d{% else %}e{% endif %}", "{% if z %}a{% endif %}",
    "{% if n %}{% if z %}x{% else %}y{% endif %}{% else %}z{% endif %}",
    "{% if z %}a{% else %}{% if n %}b{% endif %}{% endif %}c",
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in [] %}a{% else %}none{% endfor %}", "{% for x in l %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{{ loop.previtem is defined }}{{ loop.nextitem is undefined }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{{ loop.last }}{% else %}n{% endfor %}", "{% for x in l if x > 9 %}{{ x }}{% else %}n{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d | dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3)), (4, (5, 6))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for c in 'héy' %}{{ c }}-{% endfor %}", "{% for x in nope %}a{% else %}b{% endfor %}",
    "{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}{{ x }}{% endfor %}",
    "{% for x in l %}{% break %}{% else %}e{% endfor %}", "{% for x in (1, 2) %}{{ x }}{% endfor %}{{ x }}", "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in l | sort %}{{ x }}{% endfor %}",
    "{% for x in l if x is odd %}{{ x }}{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}", "{% for m in messages[1:] %}{{ m.role }}{% endfor %}", "{% for m in messages | reverse %}{{ m.role }}{% endfor %}",
    "{% for m in messages | selectattr('role', 'eq', 'user') %}{{ m.content }}{{ loop.last }}{% endfor %}", "{% set g = l | map('string') %}{{ g | list }}{{ g | list }}{{ 'y' if g else 'n' }}",
    "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ y }}{{ x }}", "{% set (x, y) = [3, 4] %}{{ x }}{{ y }}", "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if n %}{% set x = 2 %}{% endif %}{{ x }}", "{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "{% set ns = namespace() %}{% set ns.a = 'q' %}{{ ns.a }}{{ ns['a'] }}{{ ns.b is defined }}",
    "{% for x in l if x != 1 %}{{ loop.last }}{{ loop.nextitem }}{{ loop.revindex }}{% continue %}{% else %}e{% endfor %}", "{% set ns = namespace(k=0) %}{% for x in [1, 2, 3, 4, 5, 6] if x > ns.k %}{% set ns.k = ns.k + 2 %}{{ x }}{{ loop.last }}{{ loop.previtem }},{% endfor %}", "{% set ns = namespace(k=0) %}{% for x in [1, 2, 3, 4, 5, 6] if x > ns.k %}{% set ns.k = ns.k + 2 %}{{ x }}{{ loop.length }},{% endfor %}", "{% set ns = namespace(found=false) %}{% for m in messages if not ns.found %}{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{{ m.role }}{% endfor %}",
    "{% set x %}a{{ n }}b{% endset %}[{{ x }}]", "{% set x | upper | trim %} a{{ s }} {% endset %}[{{ x }}]", "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y is defined }}", "{% set ns = namespace() %}{% set ns.t %}txt{% endset %}{{ ns.t }}",
    "{% macro f(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}|{{ f(1, 3) }}|{{ f(1, c=4) }}|{{ f(b=5, a=6) }}|{{ f() }}", "{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% set x = 1 %}{% macro f() %}{{ x }}{% set x = 5 %}{{ x }}{% endmacro %}{{ f() }}{% set x = 2 %}{{ f() }}{{ x }}", "{% macro f(a) -%}  {{ a }}  {%- endmacro %}[{{ f('q') }}]{{ f('q') | upper }}{{ f('abc') | length }}",
    "{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}", "{% macro f(m) %}{% for x in m %}{{ x }}{{ loop.last }}{% endfor %}{% endmacro %}{% for q in l %}{{ f(l) }}{% endfor %}", "{% macro f() %}a{% endmacro %}{{ f is callable }}{{ f() ~ f() }}{{ f() == 'a' }}",
    "{% macro f(a) %}{{ caller_name }}{{ a.b }}{% endmacro %}{{ f({'b': 3}) }}", "{% macro outer(x) %}{% macro inner(y) %}{{ x }}{{ y }}{% endmacro %}{{ inner(2) }}{% endmacro %}{{ outer(1) }}",
    "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b') | trim %} aaa {% endfilter %}|", "{% generation %}{{ s }}{% endgeneration %}", "{% generation %}{% set q = 1 %}{{ q }}{% endgeneration %}{{ q is defined }}",
    "a{# comment #}b", "a {#- x -#} b", "{# multi\nline #}\nx", "  {# c #}\ny", "a{#-#}b", "{#%}{{ x }}#}z",
    "{% raw %}{{ x }}{% if %}{% endraw %}", "{%- raw -%}  a {{ b }}  {%- endraw -%}  c", "  {% raw %}\n x\n  {% endraw %}\nq", "{% raw %}{# c #}{% endraw %}",
    "a\n{% if n %}\nb\n{% endif %}\nc\n", "a\n  {% if n %}\n  b\n  {% endif %}\nc", "a\n  {%- if n %}\n  b\n  {%- endif %}\nc", "a {%- if n -%}  b  {%- endif -%}  c", "a\n\n{% if n -%}\n\n b {% endif %}", "  {%+ if n %}x{% endif %}", "x {% if n +%}\ny{% endif %}",
    "  {{ n }}\n  {{- n -}}  \n z", "{{ n }}\n", "{{ n }}\n\n", "a\r\nb\rc\n", "\n\n{{ n }}", "{% set a = 1 %}\n{% set b = 2 %}\n  {{ a }}{{ b }}", "x{% set a = 1 %}  \n y", "\t{% if n %}\t\na{% endif %}\t", "{{ n }} {%- if n %} a{% endif %}",
    "{%- for m in messages -%}\n  {{- '<|' + m.role + '|>\\n' + m.content | trim + '<|end|>' -}}\n{%- endfor -%}", "{% for m in messages %}\n{{ m.role }}: {{ m.content }}\n{% endfor %}\nend", "{%-if n-%}a{%-endif-%}", "{%if n%}a{%else%}b{%endif%}", "{{n}}{{-n-}}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{{ '}}' }}{{ '%}' }}", "{ n } {n}}} { {", "%} #} }}", "{{ (n) }}{{ [n][0] }}",
    "{{ l[0]\n  +\n n }}", "{% set msg = messages[0]['content'] if messages[0].role == 'system' else '' %}{{ msg }}", "{% if messages[0]['role'] == 'system' and messages|length > 1 %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}{{ loop_messages|length }}",
    "{% if not tools %}no tools{% endif %}{% if tools is none %}!{% endif %}{% if tools is not none and tools | length > 0 %}x{% endif %}{{ documents }}", "{% if (n == 7) != (z % 2 == 0) %}a{% else %}b{% endif %}", "{% set ns = namespace(a=[], b='') %}{% for x in l %}{% set ns.a = ns.a + [x * 2] %}{% set ns.b = ns.b ~ x %}{% endfor %}{{ ns.a }}{{ ns.b }}",
    "{% set x = 5 if n else 6 %}{{ x }}", "{% set x = [1, 2] if n %}{{ x }}", "{% for x in l if n %}{{ x }}{% endfor %}", "{% for x in (l if n else []) %}{{ x }}{% endfor %}", "{% set loop = 5 %}{{ loop }}",
    "{% for x in l %}{% set y = x %}{% endfor %}{{ y is defined }}", "{% if n %}{% macro g() %}in{% endmacro %}{% endif %}{{ g() }}", "{% for x in l %}{% if loop.index is divisibleby 2 %}{{ x }}{% endif %}{% endfor %}", "{% for x in l %}{{ loop.index0 % 2 == 0 }}{% endfor %}",
    "{% for x in d %}{{ loop.length }}{% endfor %}{% for x in l | map('string') %}{{ loop.length }}{{ loop.last }}{% endfor %}", "{% for a in l %}{% for b in l if b > a %}{{ a }}{{ b }};{% endfor %}{% endfor %}", "{% for a in l %}{% set q %}{% for b in l %}{{ b }}{% endfor %}{% endset %}{{ q }}{% endfor %}",
]

# Whole templates that jinja2 refuses.
BROKEN = [
    "{% if n %}", "{% endif %}", "{% for x in l %}", "{% for x l %}{% endfor %}", "{% for 1 in l %}{% endfor %}", "{% set 1 = 2 %}", "{% set x.y = 1 %}", "{% set true = 1 %}", "{% if n %}{% endfor %}", "{% else %}", "{{ n", "{{ n }", "{% if n", "{# x", "{% raw %}x", "{% nothing %}", "{% macro f %}{% endmacro %}",
    "{% macro f(a=1, b) %}{% endmacro %}", "{% for a, b in [(1, 2, 3)] %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% set a, b = 1, 2, 3 %}", "{% for x in n %}{% endfor %}", "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{% endmacro %}{{ f(b=1) }}", "{{ raise_exception('The ' ~ n) }}",
    "{% break %}", "{% if n %}{% else %}{% elif n %}{% endif %}", "{% set n = nope.x %}", "{% set d.b = 3 %}", "{% for x in l %}{% set l.x = 3 %}{% endfor %}", "{{ n }}{% if %}", "{%", "{{", "{% set ns = namespace(_x=1) %}", "{% set ns = namespace() %}{% set ns._x = 1 %}", "{{ {'a': 1] }}", "{{ (n }}", "{{ n) }}",
]


def render(template, variables):
    """{"text": ...} or {"error": message}"""
    try:
        compiled = chat_template_utils._cached_compile_jinja_template(template)
        return {"text": compiled.render(**variables)}
    except Exception as error:
        return {"error": str(error) if type(error).__name__ == "TemplateError" else ""}


def expressions():
    cases = []
    for block in (EXPRESSIONS, REFUSED):
        cases += ["{{ %s }}" % e for e in re.split(r" ;; |(?<!\\)\n", block.strip("\n"))]
    return cases + STATEMENTS + BROKEN


def models():
    """For each template the texts of the conversations, in their order."""
    out = []
    for name, template in chat_models.TEMPLATES.items():
        results = []
        for messages, prompt in chat_models.CONVERSATIONS:
            messages = chat_template_utils._alias_reasoning_fields(chat_template_utils._normalize_chat_messages(messages))
            results.append(render(template, {"messages": messages, "tools": None, "documents": None,
                                             "add_generation_prompt": prompt, **chat_models.TOKENS}))
        out.append({"name": name, "template": template, "results": results})
    return out


def main():
    out = {"now": NOW, "variables": VARIABLES, "expressions": []}
    for template in expressions():
        case = {"template": template}
        case.update(render(template, VARIABLES))
        out["expressions"].append(case)
    out["tokens"] = chat_models.TOKENS
    out["conversations"] = [{"messages": m, "prompt": p} for m, p in chat_models.CONVERSATIONS]
    out["models"] = models()
    print(json.dumps(out, ensure_ascii=False, indent=0))


main()
