/** The email to a new tenant's admin. It carries no key: mail is no place for secrets. */

export function welcomeEmail({ slug, name }: { slug: string; name: string }) {
  return {
    subject: `Welcome to Kennel, ${name}`,
    text: [
      `Hello ${name},`,
      '',
      `your tenant "${slug}" is ready, with a sample pet in it.`,
      'The operator who ordered it has received the API key of its first admin.',
      '',
      'Your Kennel',
      '',
    ].join('\n'),
  };
}
