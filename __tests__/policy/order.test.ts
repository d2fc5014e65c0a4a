import { expect, test } from '@jest/globals'
import type { Kind } from '../../src/model/kinds.ts'
import { orderRemovals } from '../../src/policy/order.ts'
import { container, image, item, network } from '../builders.ts'

test('resources are removed before what they depend on', () => {
  const inventory = {
    containers: [
      container('a'),
      container('b', { joins: ['name-of-a'] }),
      container('c', { joins: ['b'] })
    ],
    images: [
      image('base'),
      image('middle', { parent: 'base' }),
      image('top', { parent: 'middle' }),
      image('other')
    ],
    networks: [
      network('n', { configFrom: 'name-of-config' }),
      network('config')
    ]
  }
  const levels = (kind: Kind, ...ids: string[]) =>
    orderRemovals(
      ids.map((id) => item(kind, id)),
      inventory
    ).map((step) => step.ids)
  expect(levels('container', 'a', 'b', 'c')).toEqual([['c'], ['b'], ['a']])
  expect(levels('image', 'base', 'middle', 'other', 'top')).toEqual([
    ['other', 'top'],
    ['middle'],
    ['base']
  ])
  expect(levels('image', 'base', 'top')).toEqual([['base', 'top']])
  expect(levels('network', 'config', 'n')).toEqual([['n'], ['config']])
  expect(levels('volume')).toEqual([])
})
