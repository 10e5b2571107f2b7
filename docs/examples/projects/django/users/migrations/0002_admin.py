from django.db import migrations


def add_admin(apps, schema_editor):
    apps.get_model("users", "User").objects.create(name="admin")


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [migrations.RunPython(add_admin, migrations.RunPython.noop)]
