// Prints the YAML files named as arguments as JSON: {path: content}.
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'

const files = {}
for (const path of process.argv.slice(2)) files[path] = parse(await readFile(path, 'utf8'), { strict: true })
process.stdout.write(JSON.stringify(files))
