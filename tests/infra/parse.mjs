// Parses the Bicep files named as arguments and prints their syntax trees as
// JSON: {path: node}, a node being {type, field, text, line, children}. text is
// given for leaves. A place that is no Bicep is a node of type ERROR or one whose
// type begins with "missing ".
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Language, Parser } from 'web-tree-sitter'

const require = createRequire(import.meta.url)
const grammar = join(dirname(require.resolve('tree-sitter-bicep/package.json')), 'tree-sitter-bicep.wasm')

await Parser.init()
const parser = new Parser()
parser.setLanguage(await Language.load(grammar))

function plain(node, field) {
  const children = []
  for (let i = 0; i < node.childCount; i++) {
    children.push(plain(node.child(i), node.fieldNameForChild(i) ?? ''))
  }
  return {
    type: node.isMissing ? `missing ${node.type}` : node.type,
    field,
    text: children.length === 0 ? node.text : '',
    line: node.startPosition.row + 1,
    children,
  }
}

const trees = {}
for (const path of process.argv.slice(2)) {
  trees[path] = plain(parser.parse(await readFile(path, 'utf8')).rootNode, '')
}
process.stdout.write(JSON.stringify(trees))
