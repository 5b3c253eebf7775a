/** The control schema with hooks: what happens between two statements of a process. */
import type { Db, Sql } from '../../src/kernel/ports.ts';

/** Calls `after` behind each statement, or transaction, whose text contains `text`. It may throw. */
export function hookedControl(
  control: Db,
  { text: wanted, after }: { text: string; after: () => unknown },
): Db {
  const isWanted = (text: TemplateStringsArray) => text.join('').includes(wanted);
  const plain: Sql = async (text, ...values) => {
    const rows = await control<never>(text, ...values);
    if (isWanted(text)) await after();
    return rows;
  };
  const transaction: Db['transaction'] = async (work) => {
    let isHooked = false;
    const result = await control.transaction((sql) =>
      work((text, ...values) => {
        isHooked ||= isWanted(text);
        return sql(text, ...values);
      }),
    );
    if (isHooked) await after();
    return result;
  };
  return Object.assign(plain, { transaction });
}
