/**
 * Checks the import rules of ARCHITECTURE.md: which part may import which, and where each package
 * may be used.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';

type Module = { path: string; text: string; imports: string[] };

const modules = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => readModule(join('src', path)));

/**
 * The parts that a part may import besides itself. Parts without an entry may import everything.
 */
const arrows: Record<string, string[]> = {
  kernel: [],
  http: ['kernel'],
  postgres: ['kernel'],
  isolation: ['kernel', 'postgres'],
  adapters: ['kernel', 'postgres', 'isolation'],
  mail: ['kernel', 'postgres'],
  embedded_postgres: ['kernel', 'postgres'],
  explain: ['kernel', 'http', 'postgres'],
  control_plane: ['kernel', 'postgres', 'isolation', 'adapters', 'mail'],
  routes: ['kernel', 'http'],
};

/** Packages that only one part may use. */
const homes: Record<string, string> = {
  postgres: 'src/(embedded_)?postgres/',
  ioredis: 'src/adapters/limiter/',
  'prom-client': 'src/observability/',
  nodemailer: 'src/mail/',
  'secure-json-parse': 'src/http/',
};

const exported = /^export (?:async )?(?:function\*?|class|const|type|interface) (\w+)/gm;

describe('the structure of src', () => {
  it('keeps the kernel from importing anything outside its folder, even node modules', () => {
    const foreign = modules
      .filter(({ path }) => partOf(path) === 'kernel')
      .flatMap(({ path, imports }) =>
        imports.filter((name) => partOf(name) !== 'kernel').map((name) => `${path} → ${name}`),
      );
    assert.deepEqual(foreign, []);
  });

  it('gives no two things of different files one exported name', () => {
    const homesOf = new Map<string, Set<string>>();
    for (const { path, text } of modules) {
      for (const [, name = ''] of text.matchAll(exported)) {
        homesOf.set(name, (homesOf.get(name) ?? new Set()).add(path));
      }
    }
    const doubled = [...homesOf].filter(([, paths]) => paths.size > 1);
    assert.deepEqual(
      doubled.map(([name, paths]) => `${name}: ${[...paths].join(', ')}`),
      [],
    );
  });

  for (const [part, allowed] of Object.entries(arrows)) {
    it(`lets ${part} import ${allowed.join(', ') || 'nothing'}`, () => {
      const wrong = modules
        .filter(({ path }) => partOf(path) === part)
        .flatMap(({ path, imports }) =>
          imports
            .filter((name) => name.startsWith('src/'))
            .filter((name) => ![part, ...allowed].includes(partOf(name)))
            .map((name) => `${path} → ${name}`),
        );
      assert.deepEqual(wrong, []);
    });
  }

  it("keeps adapters out of another port's folder", () => {
    const wrong = modules
      .filter(({ path }) => partOf(path) === 'adapters')
      .flatMap(({ path, imports }) =>
        imports
          .filter((name) => partOf(name) === 'adapters' && dirname(name) !== dirname(path))
          .map((name) => `${path} → ${name}`),
      );
    assert.deepEqual(wrong, []);
  });

  for (const [name, home] of Object.entries(homes)) {
    it(`imports the package ${name} in ${home} alone`, () => {
      const users = modules.filter(({ imports }) => imports.includes(name)).map(({ path }) => path);
      assert.ok(users.length > 0);
      assert.deepEqual(
        users.filter((path) => !new RegExp(`^${home}`).test(path)),
        [],
      );
    });
  }

  it('has no cycle of imports', () => {
    assert.deepEqual(circleIn(modules), []);
  });

  it('imports adapters in the composition root and the configuration alone', () => {
    // The configuration reads the URL of Redis as the limiter does.
    const roots = ['src/app.ts', 'src/open_limiter.ts', 'src/config.ts'];
    const others = modules.filter(
      ({ path, imports }) =>
        !['adapters', 'control_plane'].includes(partOf(path)) &&
        !roots.includes(path) &&
        imports.some((name) => partOf(name) === 'adapters'),
    );
    assert.deepEqual(
      others.map(({ path }) => path),
      [],
    );
  });

  it('begins each module with a comment on its purpose', () => {
    const silent = modules.filter(({ text }) => !text.startsWith('/**')).map(({ path }) => path);
    assert.deepEqual(silent, []);
  });

  it('reads the environment in the configuration alone', () => {
    const readers = modules.filter(({ text }) => text.includes('process.env'));
    assert.deepEqual(readers.map(({ path }) => path).sort(), [
      'src/cli/command.ts',
      'src/cli/psql.ts',
      'src/config.ts',
      'src/main.ts',
    ]);
  });

  it('compares isolation modes nowhere but in src/isolation', () => {
    const name = "'(?:shared|schema|database)'";
    const comparison = new RegExp(
      [
        `isolation\\b[^\\n]{0,20}(?:=|<>|\\bin\\b)\\s*\\(?${name}`,
        `(?:[!=]==|\\bcase|includes\\()\\s*${name}`,
        `${name}\\s*[!=]==`,
        `\\[${name}[^\\n]*\\]\\.includes`,
      ].join('|'),
    );
    for (const text of [
      "if (tenant.isolation === 'shared') return",
      "where isolation = 'database'",
      "if (mode === 'schema')",
      "if ('database' !== mode.name)",
      "case 'database':",
      "['schema', 'database'].includes(mode)",
      "modes.includes('schema')",
    ]) {
      assert.match(text, comparison);
    }
    const comparing = modules
      .filter(({ path, text }) => partOf(path) !== 'isolation' && comparison.test(text))
      .map(({ path }) => path);
    assert.deepEqual(comparing, []);
  });

  it('names no tenant id, schema or mode in a route', () => {
    const knowing = modules
      .filter(({ path }) => path.startsWith('src/routes/') && !path.includes('/admin/'))
      .filter(({ text }) =>
        /tenant_id|search_path|tenant\.id|'(shared|schema|database)'/.test(text),
      )
      .map(({ path }) => path);
    assert.deepEqual(knowing, []);
  });
});

function readModule(path: string): Module {
  const text = readFileSync(path, 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s+'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
  const imports = specifiers.map((name) =>
    name.startsWith('.') ? normalize(join(dirname(path), name)) : name,
  );
  return { path, text, imports };
}

/** `kernel` for `src/kernel/tenant.ts`; the file's own name for a file right below `src`. */
function partOf(path: string): string {
  const [root, part = ''] = path.split('/');
  return root === 'src' ? part : (root ?? '');
}

/** Removes modules that import no remaining module; the modules that stay form a circle. */
function circleIn(all: Module[]): string[] {
  let left = all;
  for (;;) {
    const paths = new Set(left.map(({ path }) => path));
    const next = left.filter(({ imports }) => imports.some((name) => paths.has(name)));
    if (next.length === left.length) return left.map(({ path }) => path);
    left = next;
  }
}
