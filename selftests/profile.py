# SPDX-License-Identifier: MIT
"""What a profile says, decoded by protoc --decode:

profile.py sum             the four sums of the samples
profile.py has FUNCTION    is there one of this name?
profile.py build-id FILE   that of the mapping of this file
profile.py whole           does each part name others that are there?
"""
import re
import sys

TYPES = ['alloc_objects', 'alloc_space', 'inuse_objects', 'inuse_space']


def parse(lines):
    """A message: for each name its values, which are text or messages."""
    message = {}
    for line in lines:
        if line.strip() == '}':
            break
        name, value = re.fullmatch(r'\s*(\w+):? (.*)\n', line).groups()
        message.setdefault(name, []).append(
            parse(lines) if value == '{' else value.strip('"'))
    return message


def number(message, name):
    return int(message.get(name, [0])[0])


def print_sums(profile):
    values = [map(int, s['value']) for s in profile['sample']]
    print(*map(sum, zip(*values)))


def is_whole(profile):
    strings = profile['string_table']
    mappings = {number(m, 'id'): m for m in profile['mapping']}
    functions = {number(f, 'id') for f in profile.get('function', [])}
    locations = {number(l, 'id') for l in profile['location']}
    types = [strings[number(t, 'type')] for t in profile['sample_type']]
    assert strings[0] == '' and types == TYPES, types
    assert strings[number(profile, 'default_sample_type')] == 'inuse_space'
    assert len(locations) == len(profile['location'])
    for sample in profile['sample']:
        assert len(sample['value']) == 4
        assert locations.issuperset(map(int, sample['location_id']))
    for function in profile.get('function', []):
        assert strings[number(function, 'name')]
    for location in profile['location']:
        mapping = mappings[number(location, 'mapping_id')]
        assert number(mapping, 'memory_start') <= \
            number(location, 'address') < number(mapping, 'memory_limit')
        assert functions.issuperset(number(l, 'function_id')
                                    for l in location.get('line', []))


def main():
    profile = parse(sys.stdin)
    strings = profile['string_table']
    if sys.argv[1] == 'sum':
        print_sums(profile)
    elif sys.argv[1] == 'has':
        names = [strings[number(f, 'name')] for f in profile['function']]
        sys.exit(sys.argv[2] not in names)
    elif sys.argv[1] == 'build-id':
        for mapping in profile['mapping']:
            if strings[number(mapping, 'filename')] == sys.argv[2]:
                print(strings[number(mapping, 'build_id')])
    else:
        is_whole(profile)


main()
